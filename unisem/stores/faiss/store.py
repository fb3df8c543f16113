"""`FaissStore`: the embedded store, one directory or memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from unisem.calibration import Calibration, QueryKind
from unisem.common.forks import undisturbed
from unisem.errors import CorruptStoreError
from unisem.images.library import ImageLibrary
from unisem.records import EmbeddedRecord, Record, Vector, VectorKind
from unisem.stores.base import Store
from unisem.stores.calibrated import Question
from unisem.stores.faiss.catalog import Catalog
from unisem.stores.faiss.graph import FaissGraph
from unisem.stores.faiss.index_settings import Index, IndexKind, IndexSettings
from unisem.stores.faiss.indexer import Indexer
from unisem.stores.faiss.open_files import OpenFiles
from unisem.stores.faiss.ranking import Ranking
from unisem.stores.faiss.raw_file import DamagedVectorsError
from unisem.stores.faiss.snapshot import Eligible, Snapshot
from unisem.stores.faiss.words import Words
from unisem.stores.hits import Hit
from unisem.stores.selection import EVERYTHING, Match, Selection
from unisem.stores.vectors import admit, check_dimension, query_rows

if TYPE_CHECKING:
    from unisem.stores.faiss.maintenance import FaissMaintenance

_PAGE = 1024  # records that `select` reads at a time
_CURSOR = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})")  # rows, which SQLite counts in 63 bits
_State = tuple[Snapshot, list[Question], list[Eligible]]
"""A committed state, queries as it compares them, and what may be found, searched part by part."""
_PATIENCE = 5  # how often a search starts over because records vanished under it


class FaissStore(Store):
    """Records and vectors in SQLite, searched through Faiss; see ``docs/concepts/store.md``.

    Any number of processes may read; the first that writes holds the writer's lock until it
    closes. A reader sees other processes' commits at its next call. Threads share a store.
    In a forked process it is as if opened anew there.

    Args:
        directory: Where the files are, created if absent; ``None`` for memory.
        image_library: Where the records' pictures lie.
        dimension: Says how long vectors must be while the store is empty; any length, if ``None``.
        index: Kind of index that `compact` builds; ``"auto"`` chooses by size. Or `IndexSettings`.
        durability: ``"full"``: every commit is fsynced. ``"relaxed"``: a power cut may cost the
            last commits, a crash of the process none.
        words: ``"whole"``: keyword search finds the words that are asked for. ``"parts"``: words
            that begin or end with them and words that they begin or end with, too, as German
            compounds do. Nothing is stored for it.

    Raises:
        CorruptStoreError: The catalogue cannot be read, or links are in place of files.
    """

    def __init__(
        self,
        directory: Path | None,
        image_library: ImageLibrary,
        *,
        dimension: Callable[[], int] | None = None,
        index: Index = "auto",
        durability: Literal["full", "relaxed"] = "full",
        words: Words = "whole",
    ) -> None:
        settings = IndexSettings.of(index)
        if durability not in ("full", "relaxed"):
            raise ValueError(f'durability must be "full" or "relaxed", not {durability!r}')
        if words not in ("whole", "parts"):
            raise ValueError(f'words must be "whole" or "parts", not {words!r}')
        self._asked_words: Words = words
        self._first_dimension = dimension
        self._wanted_kind = settings.kind
        self._files = OpenFiles(directory, image_library, settings, durability)
        self._indexer = Indexer(self._files, settings)
        self._graph = FaissGraph(self._files)

    def add(self, items: Sequence[EmbeddedRecord]) -> None:
        items = list(items)  # which may come one by one
        if not items:
            return
        files, snapshots = self._files, self._files.snapshots
        with files.mutex:
            files.lock_for_writing()
            before = self._readable()
            state = files.catalog if before is None else before
            is_empty, expected = state.is_empty, state.dimension
            if is_empty:
                expected = self._first_dimension and self._first_dimension()
            items = admit(items, expected)
            dimension = next(iter(items[0].vectors.values())).shape[-1]
            is_other = before is not None and before.dimension != dimension
            if is_empty and (before is None or is_other):
                before = snapshots.start(None, dimension, snapshots.calibrated(dimension))
            with snapshots.moving():
                with files.catalog.transaction():
                    if is_empty:
                        files.catalog.settle_dimension(dimension)
                    changes = files.catalog.add(items)
                if before is not None:
                    snapshots.move_on(before, changes)
            files.image_library.settle(item.record.image for item in items)
            if is_other:  # the segment, if any, is of the dimension before
                self._indexer.fold_soon("flat")
            else:
                self._indexer.fold_if_due()

    def delete(self, selection: Selection) -> int:
        files, snapshots = self._files, self._files.snapshots
        with files.mutex:
            files.lock_for_writing()
            before = self._readable()
            with snapshots.moving():
                with files.catalog.transaction():
                    changes = files.catalog.remove(selection)
                if before is not None and len(changes.removed_rows):
                    snapshots.move_on(before, changes)
            self._indexer.fold_if_due()
            return len(changes.removed_rows)

    def _readable(self) -> Snapshot | None:
        """The newest state; ``None`` before the first, and where a vector is damaged.

        A write may delete or replace what is damaged. Whoever reads next catches up.
        """
        try:
            return self._files.snapshots.newest()
        except CorruptStoreError:
            return None

    def select(self, selection: Selection = EVERYTHING) -> Iterator[Record]:
        with self._files.reading():
            rows = self._files.catalog.rows(selection)
            many = len(rows) > _PAGE and self._files.directory is not None
            records = {} if many else self._files.catalog.all_records(rows)
        if not many:
            yield from (records[row] for row in rows.tolist())
            return
        yield from self._files.step_by_step(lambda it: it.selected(selection, _PAGE))

    def count(self, selection: Selection) -> int:
        with self._files.reading():
            return len(self._files.catalog.rows(selection))

    def page(
        self, selection: Selection, after: str | None, most: int
    ) -> tuple[list[Record], str | None]:
        """As `Store.page`, oldest first; what is written after the first page is left out."""
        last, newest = (0, None) if after is None else _cursor(after)
        with self._files.reading():
            rows = self._files.catalog.rows(selection)
            if newest is not None:  # a record that is written gets a row after all others
                rows = rows[: np.searchsorted(rows, newest, side="right")]
            rows = rows[np.searchsorted(rows, last, side="right") :]
            chosen = rows[:most]
            records = self._files.catalog.all_records(chosen)
        following = None
        if len(rows) > most:
            following = f"{chosen[-1]}.{rows[-1] if newest is None else newest}"
        return [records[row] for row in chosen.tolist()], following

    def search(
        self,
        vectors: Vector,
        k: int,
        selection: Selection = EVERYTHING,
        match: Match = "any",
        asked: QueryKind = "text",
    ) -> list[list[Hit]]:
        queries = query_rows(vectors)
        for _ in range(_PATIENCE):
            with undisturbed():  # Faiss's locks, too, would stay locked in a child
                found = self._search(queries, k, selection, match, asked)
            if found is not None:
                return found
        with self._files.reading():  # writes are faster than this search; they wait for it
            found = self._search(queries, k, selection, match, asked)
        if found is None:
            raise self._incomplete()
        return found

    def _search(
        self, queries: Vector, k: int, selection: Selection, match: Match, asked: QueryKind
    ) -> list[list[Hit]] | None:
        """Search the newest state; ``None`` to try again, as the state or its index has changed."""
        state = self._state(queries, selection, match, asked)
        if state is None or k < 1:
            return [[] for _ in queries]
        found = self._rankings(*state, k)
        if found is None:
            return None
        kept = [ranking.part(0, k) for ranking in found]
        rows = np.unique(np.concatenate([ranking.rows for ranking in kept]))
        with self._files.alone(), self._files.catalog.reading():
            records = self._files.catalog.records(rows)
        if len(records) < len(rows):
            return None
        return [ranking.hits(records) for ranking in kept]

    def _state(
        self, queries: Vector, selection: Selection, match: Match, asked: QueryKind
    ) -> _State | None:
        """The newest state, and queries as it compares them; ``None`` if nothing can be found."""
        files, snapshots = self._files, self._files.snapshots
        with files.alone():
            snapshot = snapshots.newest()
            if snapshot is None or snapshot.is_empty or not len(queries):
                return None
            # What a selection holds is read from the catalogue, in the state of the snapshot.
            with nullcontext() if selection.is_everything else files.catalog.snapshot():
                snapshot = snapshots.newest() or snapshot
                check_dimension(queries, "query vectors", snapshot.dimension)
                return snapshot, *snapshots.asked(snapshot, queries, asked, selection, match)

    def _rankings(
        self, snapshot: Snapshot, questions: list[Question], parts: list[Eligible], k: int
    ) -> list[Ranking] | None:
        """What a state has for each query; ``None`` if its index is damaged: do without it."""
        files = self._files
        try:
            found = snapshot.search(questions, k, parts)
        except DamagedVectorsError:
            with files.reading():
                files.snapshots.do_without(snapshot.segment)
            return None
        with files.alone():
            by_id = files.catalog.in_order_of_ids
            return [Ranking.of(*one, k, by_id) for one in zip(questions, found, strict=True)]

    def _incomplete(self) -> CorruptStoreError:
        return CorruptStoreError(
            f"{self._files.directory}: there are vectors of records that are not there; "
            "restore it from a copy"
        )

    def search_pages(
        self,
        vector: Vector,
        first: int,
        selection: Selection = EVERYTHING,
        match: Match = "any",
        asked: QueryKind = "text",
    ) -> Iterator[list[Hit]]:
        """As `Store.search_pages`: what is ranked is numbers, and a page of records is read.

        The ranking is of the state when the first page was asked for. What has been removed or
        replaced since is left out.
        """
        queries, count, score = query_rows(vector[None]), first, float("inf")
        state: _State | None = None
        while count:
            with undisturbed():
                state = state or self._state(queries, selection, match, asked)
                found = self._rankings(*state, count) if state else []
            if found is None:
                state = None
                continue
            ranking = found[0].below(score) if found else None
            if state is None or not ranking:
                return
            for start in range(0, len(ranking), _PAGE):
                with undisturbed():
                    page = self._page(state[0], ranking.part(start, start + _PAGE))
                yield page
            score, count = float(ranking.scores[-1]), 4 * count

    def _page(self, snapshot: Snapshot, ranking: Ranking) -> list[Hit]:
        """The hits whose records are still there.

        Raises:
            CorruptStoreError: Some are not, though nothing has been written since.
        """
        with self._files.reading():
            catalog = self._files.catalog
            records = catalog.records(ranking.rows)
            if len(records) < len(ranking) and catalog.moment == snapshot.moment:
                raise self._incomplete()
        return ranking.hits(records)

    def search_words(self, text: str, k: int, selection: Selection = EVERYTHING) -> list[Hit]:
        with self._files.reading():
            scored = self._files.catalog.search_words(text, k, selection, self._asked_words)
            rows = np.array([row for row, _ in scored], np.int64)
            records = self._files.catalog.all_records(rows)
        return [Hit(records[row], score, "text") for row, score in scored]

    def vectors(self, ids: Sequence[str]) -> list[dict[VectorKind, Vector] | None]:
        with self._files.reading():
            rows = self._files.catalog.rows(Selection(ids=tuple(ids)))
            records = self._files.catalog.all_records(rows)
            vectors = self._files.catalog.vectors(rows.tolist())
        found = {records[row].id: vectors[row] for row in rows.tolist()}
        return [found.get(record_id) for record_id in ids]

    def embedded(self) -> Iterator[EmbeddedRecord]:
        with self._files.alone():  # memory has one connection
            whole = list(self._files.catalog.embedded()) if self._files.directory is None else None
        yield from self._files.step_by_step(Catalog.embedded) if whole is None else whole

    def update(self, metadata: Mapping[str, Mapping[str, Any]]) -> None:
        with self._files.mutex:  # nobody writes between reading the vectors and adding them again
            self._files.lock_for_writing()
            super().update(metadata)

    def __len__(self) -> int:
        with self._files.reading():
            return len(self._files.catalog)

    @property
    def dimension(self) -> int | None:
        """Length of the vectors stored last, ``None`` before the first."""
        with self._files.reading():
            return self._files.catalog.dimension

    @property
    def index_kind(self) -> IndexKind | None:
        """Kind of the present segment; ``None`` while everything is scanned."""
        with self._files.alone():
            snapshot = self._files.snapshots.newest()
        return None if snapshot is None else snapshot.index_kind

    def maintenance(self) -> FaissMaintenance:
        from unisem.stores.faiss.maintenance import FaissMaintenance

        files = self._files
        return FaissMaintenance(files.directory, files.image_library, lambda: nullcontext(self))

    def compact(self, kind: str | None = None) -> str:
        """Index all vectors anew, drop what was removed, and let go of unused pictures.

        The columns that filters look at are written, too. Searches go on meanwhile, in this process
        and in others.

        Args:
            kind: Kind of index; the one the store was opened with if ``None``.

        Returns:
            Which kind was built and why, as a sentence.
        """
        wanted = self._wanted_kind if kind is None else IndexSettings.of(kind).kind
        done = self._indexer.index_anew(wanted)
        self._indexer.save_columns()
        return done or "there is nothing to index yet"

    @property
    def calibration(self) -> Calibration | None:
        with self._files.alone():
            found = self._files.calibration.newest()
        return None if found is None else found.calibration

    @property
    def graph(self) -> FaissGraph:
        return self._graph

    def expect(self, fingerprint: str) -> None:
        self._files.calibration.expect(fingerprint)

    def calibrate(self, calibration: Calibration | None) -> None:
        # The seal of the new index comes before the calibration's file: what is searched in between
        # is of the present calibration, here and in other processes.
        with self._files.alone():
            swap = self._files.calibration.swap(calibration, self._files.catalog.dimension)
        self._indexer.index_anew(self.index_kind or "flat", swap)

    def shrink(self) -> str:
        """Build the word index anew and give the catalogue's empty pages back to the disk.

        Other calls of this process wait meanwhile. While another process is in the middle of
        reading, pages are not given back.

        Returns:
            What was done, as a sentence.
        """
        with self._files.mutex:
            self._files.lock_for_writing()
            self._files.catalog.check_in_place()
            return self._files.catalog.shrink()

    def close(self) -> None:
        self._indexer.wait()
        self._files.close(self._indexer.index_if_stale)


def _cursor(text: str) -> tuple[int, int]:
    """The last row of the page before, and the newest of when the first page was read."""
    if (parts := _CURSOR.fullmatch(text)) is not None:
        last, newest = map(int, parts.groups())
        if last < newest:
            return last, newest
    raise ValueError(f"{text!r} is no cursor; begin without one")
