"""`Indexer`: builds a store's segments while it is searched."""

from __future__ import annotations

import logging
import threading
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unisem.common.forks import start_undisturbed, undisturbed
from unisem.errors import StoreError
from unisem.records import Vector
from unisem.stores.calibration_file import Swap
from unisem.stores.faiss.column_file import FEWEST, ColumnFile
from unisem.stores.faiss.index_settings import IndexKind, IndexSettings
from unisem.stores.faiss.moments import Moment
from unisem.stores.faiss.open_files import OpenFiles
from unisem.stores.faiss.segment import Segment

_log = logging.getLogger(__name__)
_STALE_COLUMNS = 0.05  # share of records that they lack from which they are worth writing anew
_SAVED_AT_ONCE = 1 << 24  # bytes of a segment that are written so fast that searches may wait
_ERASED_AT_ONCE = 512  # records, of which each is a few pages
_QUICK = ("flat", "ivf_pq")  # what is built unasked; a graph is built when asked for


class Indexer:
    """Builds a segment beside the present one and puts it in its place.

    Searches go on meanwhile, in this process and in others.

    Args:
        files: The store's.
        settings: How segments are built.
    """

    def __init__(self, files: OpenFiles, settings: IndexSettings) -> None:
        self._files = files
        self._settings = settings
        self._folding: threading.Thread | None = None

    def wait(self) -> None:
        """Wait for the thread that indexes, if there is one."""
        if self._folding is not None:
            self._folding.join()

    def index_anew(self, wanted: IndexKind | Literal["auto"], swap: Swap | None = None) -> str:
        """Index all vectors, by another calibration if one is to take the present one's place.

        Args:
            wanted: Kind of index; by size, if ``"auto"``.
            swap: The calibration that becomes the present one with the segment.

        Returns:
            Which kind was built and why; nothing, if nothing was ever stored.
        """
        files, snapshots = self._files, self._files.snapshots
        while True:
            with files.mutex:
                files.lock_for_writing()
                files.catalog.check_in_place()
                if snapshots.newest() is None:
                    if swap is not None:
                        swap.commit()
                    return ""
            self._erase_removed()
            moment, vector_ids, vectors = self._all_vectors()
            present = snapshots.calibrated(vectors.shape[1])
            calibrated = present if swap is None else swap.calibrated
            with undisturbed():
                segment = Segment.build(
                    wanted, vectors, vector_ids, moment, calibrated, self._settings
                )
            with files.mutex:
                with files.reading():
                    is_latest = files.catalog.can_follow(moment, segment.dimension)
                    is_same = snapshots.calibrated(segment.dimension) is present
                if is_latest and is_same:
                    self._replace_segment(segment, swap)
                    reason = segment.reason or "as asked"
                    return f"{segment.kind}: {reason if len(vectors) else 'nothing is left'}"
            # Another thread has compacted a later state meanwhile, which forgot what this needs,
            # has emptied the store and stored vectors of another length, or has calibrated.

    def _erase_removed(self) -> None:
        """Take off the disk what is removed, a part at a time, so that nobody waits for long."""
        is_left = True
        while is_left:
            with self._files.mutex:
                is_left = self._files.catalog.erase(_ERASED_AT_ONCE)

    def _replace_segment(self, segment: Segment, swap: Swap | None) -> None:
        files, snapshots = self._files, self._files.snapshots
        with snapshots.moving():
            segment = self._save(segment)
            if swap is not None:
                swap.commit()
            with files.reading():  # nobody else calibrates while this process writes
                snapshots.adopt(segment, snapshots.calibrated(segment.dimension))
                files.image_library.collect(files.catalog.blobs())

    def _save(self, segment: Segment) -> Segment:
        """Write a segment, if anywhere, and let go of what was kept for the one before."""
        if self._files.directory is not None:
            segment = segment.saved(self._files.directory)
        self._files.catalog.forget_removals(segment.moment.transaction)
        return segment

    def index_if_stale(self) -> None:
        """Write what the next opening would have to catch up, if that is much and soon done."""
        snapshots = self._files.snapshots
        try:
            snapshot = snapshots.newest()
            kind = (snapshot and snapshot.index_kind) or "flat"
            if kind in _QUICK and snapshots.is_stale():
                self.index_anew(kind)
            self._save_columns_if_stale()
        except StoreError as error:  # what was stored is safe, so nobody need handle this
            _log.warning("%s; the next opening reads the vectors from the catalogue", error)

    def save_columns(self) -> None:
        """Write the columns that filters look at; searches and writes go on meanwhile."""
        files = self._files
        if files.directory is None:
            return
        try:
            with undisturbed(), files.catalog.reader() as catalog:
                moment, columns = catalog.columns()
            if len(columns.rows) >= FEWEST:
                with files.mutex:
                    columns.save(files.directory, moment)
        except StoreError as error:  # a damaged record, too: nothing but time is lost
            _log.warning("%s; filters read the catalogue when they are first used", error)

    def _save_columns_if_stale(self) -> None:
        snapshot, directory = self._files.snapshots.newest(), self._files.directory
        if snapshot is None or directory is None or len(snapshot.rows) < FEWEST:
            return
        found = ColumnFile.load(directory)
        with self._files.reading():
            is_of_ours = found is not None and self._files.catalog.knows(found.moment)
        last = found.rows[-1] if found is not None and is_of_ours else -1
        known = int(np.searchsorted(snapshot.rows, last, side="right"))
        if len(snapshot.rows) - known > _STALE_COLUMNS * known:
            self.save_columns()

    def fold_if_due(self) -> None:
        """Have a thread rid the snapshot of what was removed, if that is most of it."""
        snapshot = self._files.snapshots.known  # reading might fail, and the write is committed
        if snapshot is not None and snapshot.is_mostly_dead:
            self.fold_soon(snapshot.index_kind or "flat")

    def fold_soon(self, kind: IndexKind) -> None:
        """Have a thread index all vectors, if it is soon done."""
        if kind in _QUICK and (self._folding is None or not self._folding.is_alive()):
            self._folding = start_undisturbed(lambda: self._fold(kind), "unisem-fold")

    def _fold(self, kind: IndexKind) -> None:
        files, snapshots = self._files, self._files.snapshots
        try:
            moment, vector_ids, vectors = self._all_vectors()
            calibrated = snapshots.calibrated(vectors.shape[1])
            segment = Segment.build(kind, vectors, vector_ids, moment, calibrated, self._settings)
            with files.alone(), snapshots.moving():
                with files.reading():
                    present = snapshots.calibrated(segment.dimension)
                    if not snapshots.can_follow(segment, present):
                        return  # somebody has compacted a later state, or emptied the store
                    snapshots.adopt(segment, present)
                if vectors.nbytes <= _SAVED_AT_ONCE:
                    self._save(segment)
        except StoreError as error:  # a later write tries again, and reports what the disk says
            _log.warning("%s: removed vectors stay in memory (%s)", files.directory, error)

    def _all_vectors(self) -> tuple[Moment, NDArray[np.int64], Vector]:
        files = self._files
        with (
            files.mutex if files.directory is None else undisturbed(),
            files.catalog.reader() as catalog,
        ):
            return catalog.all_vectors()
