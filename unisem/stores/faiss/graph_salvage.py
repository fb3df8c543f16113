"""`GraphSalvage`: what can still be read of the graph of a damaged catalogue, row by row."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from unisem.stores.faiss import checksums
from unisem.stores.faiss.database import DAMAGED
from unisem.stores.faiss.graph_rows import entity_of, mention_of, relation_of
from unisem.stores.graph import Entity, Mention, Relation

_FAILURES = (sqlite3.Error, ValueError, TypeError, OverflowError)
_One = TypeVar("_One")


class GraphSalvage:
    """One pass over a graph: entities, relations, mentions, in this order; never writes.

    A row that does not agree with its checksum is lost, and a page that cannot be read takes its
    rows. A relation is read without its entities: where those are lost, their ids are known.

    Args:
        database: A connection to the catalogue, which may be of a format before.

    Attributes:
        lost: What could not be read so far, by kind: ids of entities and of records, subjects.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._are_checked = "checksum" in self._columns("entities")
        self._ids = self._known("SELECT number, id FROM entities ORDER BY id")  # by its index
        self._types = self._known("SELECT number, type FROM relation_types")
        self.lost: dict[str, list[str]] = {"entities": [], "relations": [], "mentions": []}

    @property
    def is_there(self) -> bool:
        """Whether there are tables of a graph at all."""
        return bool(self._columns("mentions"))

    def entities(self) -> Iterator[Entity]:
        """Entities, by ascending number."""
        for number, *line in self._lines("entities", "number", checksums.ENTITY_PARTS, self._ids):
            self._ids[number] = line[1]
            yield from self._made("entities", entity_of, line)

    def relations(self) -> Iterator[Relation]:
        """Relations, by subject."""
        columns = "type, object, weight, record, properties"
        for subject, checksum, kind, other, *rest in self._lines(
            "relations", "subject", columns, self._ids
        ):
            ends = self._ids.get(subject), self._types.get(kind), self._ids.get(other)
            yield from self._made("relations", relation_of, [checksum, *ends, *rest])

    def mentions(self) -> Iterator[Mention]:
        """Mentions, by record."""
        records = self._known("SELECT row, id FROM records ORDER BY id").values()
        linked = "linked" if self._are_checked else "0"
        for record, checksum, entity, *rest in self._lines(
            "mentions", "record", f"entity, weight, {linked}", records
        ):
            line = [checksum, record, self._ids.get(entity), *rest]
            yield from self._made("mentions", mention_of, line)

    def _made(
        self, kind: str, make: Callable[[Sequence[Any]], _One], line: list[Any]
    ) -> Iterator[_One]:
        try:
            checksum = line[0] if self._are_checked else checksums.of_parts(*line[1:])
            made = make([checksum, *line[1:]])
        except DAMAGED:
            self.lost[kind].append(repr(line[1])[:80])
            return
        yield made

    def _lines(
        self, table: str, key: str, columns: str, keys: Iterable[Any]
    ) -> Iterator[tuple[Any, ...]]:
        """A table's rows by its key, with their checksums; past a damaged page, key by key."""
        checksum = "checksum" if self._are_checked else "NULL"
        read = f"SELECT {key}, {checksum}, {columns} FROM {table}"  # noqa: S608 - constants
        seen: set[Any] = set()
        last, count = None, 0
        try:
            for line in self._db.execute(f"{read} ORDER BY {key}"):
                last, count = line[0], 1 if line[0] != last else count + 1
                seen.add(last)
                yield line
        except _FAILURES:
            seen.discard(last)
        else:
            return
        for one in list(keys):
            if one in seen:
                continue
            try:
                lines = self._db.execute(f"{read} WHERE {key} = ?", (one,)).fetchall()
            except _FAILURES:
                self.lost[table].append(repr(self._ids.get(one, one))[:80])
                continue
            yield from lines[count if one == last else 0 :]

    def _known(self, query: str) -> dict[int, str]:
        """As much of a query's pairs as can be read."""
        known: dict[int, str] = {}
        with suppress(*_FAILURES):
            known.update(self._db.execute(query))
        return known

    def _columns(self, table: str) -> list[str]:
        with suppress(*_FAILURES):
            return [line[1] for line in self._db.execute(f"PRAGMA table_info({table})")]
        return []
