"""`GraphTable`: relations, mentions or entities from a CSV."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from unisem.errors import GraphError
from unisem.graph.sources.base import GraphSource, opened
from unisem.readers.tables import TableError, csv_rows
from unisem.stores.graph import Entity, Mention, Relation

Columns = Literal["relations", "mentions", "entities"]
_NEEDED: Mapping[Columns, Sequence[str]] = {
    "relations": ("subject", "type", "object"),
    "mentions": ("record", "entity"),
    "entities": ("id", "name"),
}
_Thing = TypeVar("_Thing", Entity, Relation, Mention)


class GraphTable(GraphSource):
    """A CSV whose header says what its rows are.

    * ``subject,type,object`` are relations, ``banjo,broader,musical instrument``; columns
      ``weight`` and ``record``, the id of the record it was found in, may follow;
    * ``record,entity`` are mentions, with or without ``weight``;
    * ``id,name`` are entities, with or without ``kind`` and ``aliases``, these parted by ``|``.

    Comma, semicolon or tab, UTF-8; cells are quoted as RFC 4180 says. Rows are read one by one.

    Args:
        path: The file.

    Raises:
        GraphError: It cannot be read, or has none of these headers; later, if a row is broken.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._columns = self._form()

    def entities(self) -> Iterator[Entity]:
        """The rows with ``id`` and ``name``."""
        return self._read("entities", _entity)

    def relations(self) -> Iterator[Relation]:
        """The rows with ``subject``, ``type`` and ``object``."""
        return self._read("relations", _relation)

    def mentions(self) -> Iterator[Mention]:
        """The rows with ``record`` and ``entity``."""
        return self._read("mentions", _mention)

    def _form(self) -> Columns:
        faults: list[str] = []
        for form, needed in _NEEDED.items():
            with opened(self._path) as file:
                try:
                    next(iter(csv_rows(file, needed)), None)
                except TableError as error:
                    faults.append(str(error))
                    continue
            return form
        forms = "; ".join(",".join(needed) for needed in _NEEDED.values())
        raise GraphError(f"{self._path}: {faults[0]}; name the columns by one of: {forms}")

    def _read(self, form: Columns, made: Callable[[dict[str, str]], _Thing]) -> Iterator[_Thing]:
        if form != self._columns:
            return
        with opened(self._path) as file:
            for number, row in csv_rows(file, _NEEDED[form]):
                where = f"{self._path}:{number}"
                if isinstance(row, str):
                    raise GraphError(f"{where}: {row}; nothing of the file is added")
                try:
                    yield made({name: cell.strip() for name, cell in row.items()})
                except GraphError as error:
                    raise GraphError(f"{where}: {error}; nothing of the file is added") from None


def _relation(row: dict[str, str]) -> Relation:
    return Relation(
        row.get("subject", ""),
        row.get("type", ""),
        row.get("object", ""),
        _weight(row),
        row.get("record") or None,
    )


def _mention(row: dict[str, str]) -> Mention:
    return Mention(row.get("record", ""), row.get("entity", ""), _weight(row))


def _entity(row: dict[str, str]) -> Entity:
    aliases = (alias.strip() for alias in row.get("aliases", "").split("|"))
    known = tuple(alias for alias in aliases if alias)
    return Entity(row.get("id", ""), row.get("name", ""), known, row.get("kind") or None)


def _weight(row: dict[str, str]) -> float:
    cell = row.get("weight")
    try:
        return float(cell) if cell else 1.0
    except ValueError:
        raise GraphError(f"weight must be a number, not {cell!r}") from None
