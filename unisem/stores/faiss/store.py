"""`FaissStore`: the embedded store, one directory or memory."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unisem.calibration import Calibration, QueryKind
from unisem.common.forks import Carried, Mutex, one_thread, start_undisturbed, undisturbed
from unisem.common.owned import check_owned
from unisem.errors import CorruptStoreError, StoreError
from unisem.images.library import ImageLibrary
from unisem.records import EmbeddedRecord, Modality, Record, Vector
from unisem.stores.base import Store
from unisem.stores.calibration_file import CalibrationFile, Swap
from unisem.stores.faiss.catalog import Catalog
from unisem.stores.faiss.finding import hits_of
from unisem.stores.faiss.index_settings import Index, IndexKind, IndexSettings, choose_kind
from unisem.stores.faiss.maintenance import FaissMaintenance
from unisem.stores.faiss.moments import Moment
from unisem.stores.faiss.rawvectors import VectorId
from unisem.stores.faiss.segment import Segment
from unisem.stores.faiss.snapshot import Snapshot
from unisem.stores.faiss.steps import step_by_step
from unisem.stores.faiss.timeline import Timeline
from unisem.stores.faiss.writerlock import WriterLock
from unisem.stores.hits import Hit
from unisem.stores.selection import EVERYTHING, Match, Selection
from unisem.stores.vectors import admit, check_dimension, query_rows

_log = logging.getLogger(__name__)
_PAGE = 1024  # records that `select` reads at a time
_SAVED_AT_ONCE = 1 << 24  # bytes of a segment that are written so fast that searches may wait
_PATIENCE = 5  # how often a search starts over because records vanished under it


class _GoneError(Exception):
    """What a search was about to compare has been removed since it began."""


class FaissStore(Store, Carried):
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
    ) -> None:
        settings = IndexSettings.of(index)
        if durability not in ("full", "relaxed"):
            raise ValueError(f'durability must be "full" or "relaxed", not {durability!r}')
        self._directory = directory
        self._image_library = image_library
        self._first_dimension = dimension
        self._wanted_kind = settings.kind
        self._mutex = Mutex()
        self._writer = WriterLock(directory)
        self._closed = False
        self._folder: threading.Thread | None = None
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            check_owned(directory)
        self._durability = durability
        self._is_carried = False
        self._catalog = self._open_catalog()
        self._calibration = CalibrationFile(directory)
        self._timeline = Timeline(self._catalog, directory, settings, self._calibration)
        self.follow_forks()

    def _open_catalog(self) -> Catalog:
        path = self._directory / "catalog.sqlite" if self._directory else None
        with undisturbed():
            return Catalog(path, self._image_library, durability=self._durability)

    def begin_anew(self) -> None:
        """In a forked child: the next call opens the files as if for the first time."""
        self._writer.leave_to_parent()
        self._is_carried = self._directory is not None
        one_thread("faiss")

    def add(self, items: Sequence[EmbeddedRecord]) -> None:
        if not items:
            return
        with self._mutex:
            self._lock_for_writing()
            before = self._readable()
            state = self._catalog if before is None else before
            is_empty, expected = state.is_empty, state.dimension
            if is_empty:
                expected = self._first_dimension and self._first_dimension()
            items = admit(items, expected)
            dimension = next(iter(items[0].vectors.values())).shape[-1]
            is_other = before is not None and before.dimension != dimension
            if is_empty and (before is None or is_other):
                before = self._timeline.start(None, dimension)
            with self._timeline.moving():
                with self._catalog.transaction():
                    if is_empty:
                        self._catalog.settle_dimension(dimension)
                    changes = self._catalog.add(items)
                if before is not None:
                    self._timeline.move_on(before, changes)
            self._image_library.settle(item.record.image for item in items)
            if is_other:  # the segment, if any, is of the dimension before
                self._fold_soon("flat")
            else:
                self._fold_if_due()

    def delete(self, selection: Selection) -> int:
        with self._mutex:
            self._lock_for_writing()
            before = self._readable()
            with self._timeline.moving():
                with self._catalog.transaction():
                    changes = self._catalog.remove(selection)
                if before is not None and len(changes.removed_rows):
                    self._timeline.move_on(before, changes)
            self._fold_if_due()
            return len(changes.removed_rows)

    def _readable(self) -> Snapshot | None:
        """The newest state; ``None`` before the first, and where a vector is damaged.

        A write may delete or replace what is damaged. Whoever reads next catches up.
        """
        try:
            return self._timeline.newest()
        except CorruptStoreError:
            return None

    def _fold_if_due(self) -> None:
        """Have a thread rid the snapshot of what was removed, if that is most of it."""
        snapshot = self._timeline.known  # reading might fail, and the write is committed
        if snapshot is None or not snapshot.is_mostly_dead:
            return
        kind = "flat" if snapshot.segment is None else snapshot.segment.kind
        if kind in ("flat", "sq8"):  # a graph is built when asked for
            self._fold_soon(kind)

    def _fold_soon(self, kind: IndexKind) -> None:
        if self._folder is None or not self._folder.is_alive():
            self._folder = start_undisturbed(lambda: self._fold(kind), "unisem-fold")

    def _fold(self, kind: IndexKind) -> None:
        try:
            moment, vector_ids, vectors = self._all_vectors()
            calibrated = self._timeline.calibrated(vectors.shape[1])
            segment = Segment.build(kind, vectors, vector_ids, moment, calibrated)
            with self._alone(), self._timeline.moving():
                with self._reading():
                    if not self._timeline.can_follow(segment):
                        return  # somebody has compacted a later state, or emptied the store
                    self._timeline.adopt(segment)
                if vectors.nbytes <= _SAVED_AT_ONCE:
                    self._save(segment)
        except StoreError as error:  # a later write tries again, and reports what the disk says
            _log.warning("%s: removed vectors stay in memory (%s)", self._directory, error)

    def _all_vectors(self) -> tuple[Moment, NDArray[np.int64], Vector]:
        with (
            self._mutex if self._directory is None else undisturbed(),
            self._catalog.reader() as it,
        ):
            return it.all_vectors()

    def select(self, selection: Selection = EVERYTHING) -> Iterator[Record]:
        with self._reading():
            rows = self._catalog.rows(selection)
            many = len(rows) > _PAGE and self._directory is not None
            records = {} if many else self._catalog.all_records(rows)
        if not many:
            yield from (records[row] for row in rows.tolist())
            return
        yield from step_by_step(
            self._catalog.reader, lambda it: it.selected(selection, _PAGE), self._check_open
        )

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
        with self._reading():  # writes are faster than this search; they wait for it
            found = self._search(queries, k, selection, match, asked)
        if found is None:
            raise CorruptStoreError(
                f"{self._directory}: there are vectors of records that are not there; "
                "restore it from a copy"
            )
        return found

    def _search(
        self, queries: Vector, k: int, selection: Selection, match: Match, asked: QueryKind
    ) -> list[list[Hit]] | None:
        """Search the newest state, ``None`` if records that were found vanished meanwhile."""
        with self._alone():
            snapshot = self._timeline.newest()
            if snapshot is None or snapshot.is_empty or not len(queries):
                return [[] for _ in queries]
            # What a selection holds is read from the catalogue, in the state of the snapshot.
            with nullcontext() if selection.is_everything else self._catalog.snapshot():
                snapshot = self._timeline.newest() or snapshot
                check_dimension(queries, "query vectors", snapshot.dimension)
                questions, parts = self._timeline.asked(snapshot, queries, asked, selection, match)
        try:
            found = snapshot.search(questions, k, parts, self._raw_vectors)
        except _GoneError:
            return None
        rows = np.unique(np.concatenate([VectorId.rows(ids) for _, ids in found]))
        with self._alone(), self._catalog.reading():
            records = self._catalog.records(rows)
        if len(records) < len(rows):
            return None
        return [hits_of(*one, records, k) for one in zip(questions, found, strict=True)]

    def search_words(self, text: str, k: int, selection: Selection = EVERYTHING) -> list[Hit]:
        with self._reading():
            scored = self._catalog.search_words(text, k, selection)
            rows = np.array([row for row, _ in scored], np.int64)
            records = self._catalog.all_records(rows)
        return [Hit(records[row], score, "text") for row, score in scored]

    def vectors(self, ids: Sequence[str]) -> list[dict[Modality, Vector] | None]:
        with self._reading():
            rows = self._catalog.rows(Selection(ids=tuple(ids)))
            records = self._catalog.all_records(rows)
            vectors = self._catalog.vectors(rows.tolist())
        found = {records[row].id: vectors[row] for row in rows.tolist()}
        return [found.get(record_id) for record_id in ids]

    def embedded(self) -> Iterator[EmbeddedRecord]:
        if self._directory is None:
            with self._mutex:  # memory has one connection
                self._check_open()
                items = list(self._catalog.embedded())
            yield from items
            return
        with self._mutex:
            self._check_open()
        yield from step_by_step(self._catalog.reader, Catalog.embedded, self._check_open)

    def update(self, metadata: Mapping[str, Mapping[str, Any]]) -> None:
        with self._mutex:  # nobody writes between reading the vectors and adding them again
            self._lock_for_writing()
            super().update(metadata)

    def __len__(self) -> int:
        with self._reading():
            return len(self._catalog)

    @property
    def dimension(self) -> int | None:
        """Length of the vectors stored last, ``None`` before the first."""
        with self._reading():
            return self._catalog.dimension

    @property
    def index_kind(self) -> IndexKind | None:
        """Kind of the present segment; ``None`` while everything is scanned."""
        with self._alone():
            snapshot = self._timeline.newest()
        return None if snapshot is None or snapshot.segment is None else snapshot.segment.kind

    def maintenance(self) -> FaissMaintenance:
        return FaissMaintenance(self._directory, self._image_library, lambda: nullcontext(self))

    def compact(self, kind: str | None = None) -> str:
        """Index all vectors anew, drop what was removed, and let go of unused pictures.

        Searches go on meanwhile, in this process and in others.

        Args:
            kind: Kind of index; the one the store was opened with if ``None``.

        Returns:
            Which kind was built and why, as a sentence.
        """
        wanted = self._wanted_kind if kind is None else IndexSettings.of(kind).kind
        return self._index_anew(wanted) or "there is nothing to index yet"

    def _index_anew(self, wanted: IndexKind | Literal["auto"], swap: Swap | None = None) -> str:
        """Build a segment beside the present one and put it in its place, and a calibration's."""
        while True:
            with self._mutex:
                self._lock_for_writing()
                self._catalog.check_in_place()
                if self._timeline.newest() is None:
                    if swap is not None:
                        swap.commit()
                    return ""
            moment, vector_ids, vectors = self._all_vectors()
            chosen, reason = choose_kind(len(vectors)) if wanted == "auto" else (wanted, "as asked")
            if not len(vectors):
                chosen, reason = "flat", "nothing is left"
            present = self._timeline.calibrated(vectors.shape[1])
            calibrated = present if swap is None else swap.calibrated
            with undisturbed():
                segment = Segment.build(chosen, vectors, vector_ids, moment, calibrated)
            with self._mutex:
                with self._reading():
                    is_latest = self._catalog.can_follow(moment, segment.dimension)
                    is_same = self._timeline.calibrated(segment.dimension) is present
                if is_latest and is_same:
                    self._replace_segment(segment, swap)
                    return f"{chosen}: {reason}"
            # Another thread has compacted a later state meanwhile, which forgot what this needs,
            # has emptied the store and stored vectors of another length, or has calibrated.

    def _replace_segment(self, segment: Segment, swap: Swap | None) -> None:
        with self._timeline.moving():
            segment = self._save(segment)
            if swap is not None:
                swap.commit()
            with self._reading():
                self._timeline.adopt(segment)
                self._image_library.collect(self._catalog.blobs())

    def _save(self, segment: Segment) -> Segment:
        """Write a segment, if anywhere, and let go of what was kept for the one before."""
        if self._directory is not None:
            segment = segment.saved(self._directory)
        self._catalog.forget_removals(segment.moment.transaction)
        return segment

    @property
    def calibration(self) -> Calibration | None:
        with self._alone():
            found = self._calibration.newest()
        return None if found is None else found.calibration

    def expect(self, fingerprint: str) -> None:
        self._calibration.expect(fingerprint)

    def calibrate(self, calibration: Calibration | None) -> None:
        # The seal of the new index comes before the calibration's file: what is searched in between
        # is of the present calibration, here and in other processes.
        with self._alone():
            swap = self._calibration.swap(calibration, self._catalog.dimension)
        self._index_anew(self.index_kind or "flat", swap)

    def shrink(self) -> str:
        """Build the word index anew and give the catalogue's empty pages back to the disk.

        Other calls of this process wait meanwhile. While another process is in the middle of
        reading, pages are not given back.

        Returns:
            What was done, as a sentence.
        """
        with self._mutex:
            self._lock_for_writing()
            self._catalog.check_in_place()
            return self._catalog.shrink()

    def close(self) -> None:
        if self._folder is not None:
            self._folder.join()
        with self._mutex:
            if self._closed:
                return
            if self._is_carried:  # nothing was begun here
                self._closed = True
                return
            is_lost = self._writer.is_held and not self._catalog.is_in_place
            try:
                if self._writer.is_held and not is_lost and self._timeline.is_stale():
                    kind = self.index_kind or "flat"
                    if kind in ("flat", "sq8"):  # a graph is built when asked for
                        self.compact(kind)
            except StoreError as error:  # what was stored is safe, so nobody need handle this
                _log.warning("%s; the next opening reads the vectors from the catalogue", error)
            finally:
                self._closed = True
                self._catalog.close()
                self._writer.release()
            if is_lost:
                raise StoreError(
                    f"{self._directory} was removed or replaced while it was open; what was "
                    "written to it is not there any more"
                )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the store, which must be open."""
        with self._mutex:
            self._check_open()
            yield

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Hold the store; the catalogue shows one committed state as long as this lasts."""
        with self._alone(), self._catalog.snapshot():
            yield

    def _raw_vectors(self, vector_ids: NDArray[np.int64]) -> Vector:
        with self._reading():
            vectors = self._catalog.raw_vectors(vector_ids)
        if vectors is None:
            raise _GoneError
        return vectors

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("this space has been closed; open it again")
        if self._is_carried:
            self._catalog = self._open_catalog()
            self._timeline.carry_over(self._catalog)
            self._is_carried = False

    def _lock_for_writing(self) -> None:
        self._check_open()
        self._writer.acquire()
