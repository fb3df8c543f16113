"""`FaissGraph`: the graph of an embedded store, in its catalogue and in its transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from unisem.errors import CorruptStoreError
from unisem.records import Vector
from unisem.stores.faiss.graph_writing import GraphWriter
from unisem.stores.faiss.open_files import OpenFiles
from unisem.stores.graph import Entity, GraphReader, GraphReport, GraphStore, Mention, Relation

_TOGETHER = 4096  # entities, relations or mentions that are written at a time
_NAMED = 20  # missing records that a report names
_ENCODER = "graph encoder"  # the fact that says what made the vectors of names
_One = TypeVar("_One")
_Placed = TypeVar("_Placed", Relation, Mention)


class FaissGraph(GraphStore):
    """See `GraphStore`. Other threads of this process wait while one writes, others' read on.

    Args:
        files: The store's.
    """

    def __init__(self, files: OpenFiles) -> None:
        self._files = files
        self._vectors: tuple[int, NDArray[np.int64], Vector] | None = None

    @contextmanager
    def reading(self) -> Iterator[GraphReader]:
        """See `GraphStore`."""
        with self._files.reading():
            yield self._files.catalog.graph

    def add(
        self,
        entities: Iterable[Entity] = (),
        relations: Iterable[Relation] = (),
        mentions: Iterable[Mention] = (),
    ) -> GraphReport:
        """See `GraphStore`."""
        with self._writing() as graph:
            homeless = _Homeless(graph)
            return GraphReport(
                _written(_batches(entities, Entity), graph.add_entities),
                _written(map(homeless.housed, _batches(relations, Relation)), graph.add_relations),
                _written(map(homeless.housed, _batches(mentions, Mention)), graph.add_mentions),
                homeless.count,
                tuple(homeless.missing),
            )

    def relink(self, mentions: Iterable[Mention]) -> GraphReport:
        """See `GraphStore`."""
        with self._writing() as graph:
            graph.unlink()
            homeless, found = _Homeless(graph), (replace(it, linked=True) for it in mentions)
            written = _written(map(homeless.housed, _batches(found, Mention)), graph.add_mentions)
            return GraphReport(0, 0, written, homeless.count, tuple(homeless.missing))

    def remove(
        self,
        entities: Sequence[str] = (),
        relations: Sequence[Relation] = (),
        records: Sequence[str] = (),
    ) -> int:
        """See `GraphStore`."""
        with self._writing() as graph:
            removed = graph.remove_relations(relations) + graph.forget(records)
            return removed + graph.remove_entities(entities)

    def rename(self, records: Mapping[str, str], forgotten: Sequence[str] = ()) -> None:
        """See `GraphStore`."""
        if not self._files.catalog.graph.version:
            return  # there never was one
        with self._writing() as graph:
            graph.forget([name for name in forgotten if name not in records])
            graph.rename(records)

    def clear(self) -> None:
        """See `GraphStore`."""
        with self._writing() as graph:
            graph.clear()

    def set_vectors(self, vectors: Mapping[int, Vector], encoder: str) -> None:
        """See `GraphStore`."""
        with self._writing() as graph:
            if self._files.catalog.fact(_ENCODER) != encoder:
                graph.drop_vectors()
                self._files.catalog.set_fact(_ENCODER, encoder)
            graph.set_vectors(vectors)

    def name_vectors(self) -> tuple[NDArray[np.int64], Vector]:
        """See `GraphStore`."""
        with self.reading() as reader:
            version = reader.version
            if self._vectors is None or self._vectors[0] != version:
                self._vectors = (version, *reader.vectors())
            return self._vectors[1:]

    def encoder(self) -> str | None:
        """See `GraphStore`."""
        with self._files.reading():
            found = self._files.catalog.fact(_ENCODER)
        return None if found is None else str(found)

    @contextmanager
    def _writing(self) -> Iterator[GraphWriter]:
        """One transaction; a numbered one, so that copies of the space know it for a change."""
        files, snapshots = self._files, self._files.snapshots
        with files.mutex:
            files.lock_for_writing()
            try:
                before = snapshots.newest()
            except CorruptStoreError:
                before = None  # a damaged vector is no reason to lose a relation
            with snapshots.moving():
                with files.catalog.transaction():
                    yield files.catalog.graph
                    changes = files.catalog.graph_changed()
                if before is not None:
                    snapshots.move_on(before, changes)


class _Homeless:
    """What belongs to no record that is there, counted while it is left out."""

    def __init__(self, graph: GraphWriter) -> None:
        self._graph = graph
        self.count = 0
        self.missing: dict[str, None] = {}

    def housed(self, batch: list[_Placed]) -> list[_Placed]:
        """Those whose record is there, or that need none."""
        asked = {it.record_id for it in batch if it.record_id is not None}
        if not asked:
            return batch
        missing = asked - self._graph.known_records(asked)
        if not missing:
            return batch
        kept = [it for it in batch if it.record_id not in missing]
        self.count += len(batch) - len(kept)
        for name in sorted(missing)[: _NAMED - len(self.missing)]:
            self.missing[name] = None
        return kept


def _batches(given: Iterable[_One], kind: type[_One]) -> Iterator[list[_One]]:
    left = iter(given)
    while batch := list(islice(left, _TOGETHER)):
        for one in batch:
            if not isinstance(one, kind):
                raise TypeError(f"{one!r:.80} is no {kind.__name__}")
        yield batch


def _written(batches: Iterable[list[_One]], write: Callable[[Sequence[_One]], int]) -> int:
    return sum(write(batch) for batch in batches)
