"""``graph.jsonl``: a space's knowledge graph as lines of JSON, entities first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from unisem.errors import ExchangeError, GraphError
from unisem.exchange.jsonl import line_of, objects
from unisem.stores.graph import Entity, GraphReader, GraphReport, GraphStore, Mention, Relation
from unisem.stores.maintenance import SalvagedGraph

_PAGE = 1024
_KINDS: tuple[tuple[str, type[Entity] | type[Relation] | type[Mention]], ...] = (
    ("entity", Entity),
    ("relation", Relation),
    ("mention", Mention),
)


def write_graph(graph: GraphStore, path: Path) -> None:
    """Write one state of a graph; no file if there is nothing in it."""
    with graph.reading() as reader:
        _write(path, _every_entity(reader), reader.every_relation(), reader.every_mention())


def write_salvaged(graph: SalvagedGraph, path: Path) -> None:
    """Write what can be read of a graph; no file if that is nothing."""
    _write(path, graph.entities(), graph.relations(), graph.mentions())


def _write(
    path: Path,
    entities: Iterable[Entity],
    relations: Iterable[Relation],
    mentions: Iterable[Mention],
) -> None:
    with path.open("wb") as file:
        for kind, things in (("entity", entities), ("relation", relations), ("mention", mentions)):
            file.writelines(_line(kind, one) for one in things)
    if not path.stat().st_size:
        path.unlink()


def _every_entity(reader: GraphReader) -> Iterator[Entity]:
    after = 0
    while page := reader.every_entity(after, _PAGE):
        after = page[-1][0]
        yield from (entity for _, entity in page)


def read_graph(path: Path, graph: GraphStore) -> GraphReport:
    """Add what a file holds to a graph, all of it or nothing.

    Raises:
        ExchangeError: A line cannot be understood; names it. Nothing was added.
    """
    with path.open("rb") as file:
        lines = _Lines(objects(file, path))
        entities, relations, mentions = (lines.of(name, kind) for name, kind in _KINDS)
        return graph.add(entities, relations, chain(mentions, lines.end()))


class _Lines:
    """The lines of a file, kind after kind."""

    def __init__(self, lines: Iterator[tuple[str, dict[str, Any]]]) -> None:
        self._lines = lines
        self.left = next(lines, None)

    def of(self, name: str, kind: Any) -> Iterator[Any]:
        """The next lines, as long as they are of one kind."""
        while self.left is not None and list(self.left[1]) == [name]:
            place, parts = self.left
            try:
                made = kind(**parts[name])
            except (GraphError, TypeError) as error:
                raise ExchangeError(f"{place}: {error}") from error
            yield made
            self.left = next(self._lines, None)

    def end(self) -> Iterator[Mention]:
        """Nothing; there must be no line left."""
        if self.left is not None:
            raise ExchangeError(
                f"{self.left[0]}: an entity, a relation or a mention is expected, in this order"
            )
        yield from ()


def _line(kind: str, value: Entity | Relation | Mention) -> bytes:
    parts = {name: getattr(value, name) for name in value.__dataclass_fields__}
    return line_of(
        {kind: {name: part for name, part in parts.items() if part not in (None, {}, False)}}
    )
