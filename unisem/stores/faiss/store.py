"""`FaissStore`: the embedded store, one directory or memory."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from unisem.errors import StoreError, StoreLockedError
from unisem.pictures import Pictures
from unisem.records import Record
from unisem.search import EVERYTHING, EmbeddedRecord, Hit, Match, Selection, Vector
from unisem.stores.base import Store
from unisem.stores.faiss.catalog import Catalog, VectorId
from unisem.stores.faiss.vectors import VectorIndex

_log = logging.getLogger(__name__)
_PAGE = 1024  # records that `select` reads at a time


class FaissStore(Store):
    """Records and vectors in SQLite, searched through Faiss.

    Any number of processes may read; the first that writes holds the writer's lock until it
    closes. A reader sees other processes' commits at its next call.

    Args:
        directory: Where the files are, created if absent; ``None`` for memory.
        pictures: Where the records' pictures lie.

    Raises:
        CorruptStoreError: The catalogue cannot be read.
    """

    def __init__(self, directory: Path | None, pictures: Pictures) -> None:
        self._directory = directory
        self._mutex = threading.RLock()
        self._writer: FileLock | None = None
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        self._catalog = Catalog(directory / "catalog.sqlite" if directory else None, pictures)
        self._seen_version = self._catalog.version
        self._index: VectorIndex | None = None
        self._saved_transaction = -1
        self._closed = False

    def add(self, items: Sequence[EmbeddedRecord]) -> None:
        if not items:
            return
        with self._mutex:
            self._lock_for_writing()
            index = self._current_index()
            dimension = _common_dimension(items)
            with self._catalog.transaction():
                self._catalog.settle_dimension(dimension)
                changes = self._catalog.add(items)
            index = index or VectorIndex(dimension)
            index.apply(changes, self._catalog.transaction_number)
            self._index = index

    def delete(self, selection: Selection) -> int:
        with self._mutex:
            self._lock_for_writing()
            index = self._current_index()
            with self._catalog.transaction():
                removed = self._catalog.remove(selection)
            if index is not None and len(removed):
                transaction = self._catalog.transaction_number
                index.apply(self._catalog.changes_since(index.transaction, 2**62), transaction)
            return len(removed)

    def select(self, selection: Selection = EVERYTHING) -> Iterator[Record]:
        with self._mutex:
            self._check_open()
            rows = self._catalog.rows(selection)
        for start in range(0, len(rows), _PAGE):
            page = rows[start : start + _PAGE]
            with self._mutex:
                self._check_open()
                records = self._catalog.records(page)
            yield from (records[row] for row in page.tolist() if row in records)

    def search(
        self,
        vectors: Vector,
        k: int,
        selection: Selection = EVERYTHING,
        match: Match = "any",
    ) -> list[list[Hit]]:
        queries = np.ascontiguousarray(vectors, np.float32)
        if queries.ndim != 2:
            raise StoreError(f"query vectors must have shape (n, d), not {queries.shape}")
        with self._mutex:
            self._check_open()
            index = self._current_index()
            if index is None:
                return [[] for _ in queries]
            if queries.shape[1] != self._catalog.dimension:
                raise StoreError(
                    f"query vectors have dimension {queries.shape[1]}, "
                    f"the stored ones {self._catalog.dimension}; they come from another encoder"
                )
            rows = None if selection.is_everything else self._catalog.rows(selection)
            found = index.search(queries, k, rows, match)
            wanted = [VectorId.rows(vector_ids) for _, vector_ids in found]
            records = self._catalog.records(np.unique(np.concatenate(wanted)))
        return [_hits(scores, vector_ids, records, k) for scores, vector_ids in found]

    def __len__(self) -> int:
        with self._mutex:
            self._check_open()
            return len(self._catalog)

    def close(self) -> None:
        with self._mutex:
            if self._closed:
                return
            self._closed = True
            try:
                if self._writer is not None:
                    self._save_index()
            finally:
                self._catalog.close()
                if self._writer is not None:
                    self._writer.release()

    def _current_index(self) -> VectorIndex | None:
        """The vector index, brought to the latest commit; ``None`` while nothing is stored."""
        dimension = self._catalog.dimension
        if dimension is None:
            return None
        if self._index is None:
            self._index = self._load_index(dimension)
        elif self._catalog.version == self._seen_version:
            return self._index
        self._seen_version = self._catalog.version
        with self._catalog.snapshot():
            transaction = self._catalog.transaction_number
            if self._index.transaction != transaction:
                changes = self._catalog.changes_since(
                    self._index.transaction, self._index.last_vector_id
                )
                self._index.apply(changes, transaction)
        return self._index

    def _load_index(self, dimension: int) -> VectorIndex:
        if self._directory is not None:
            loaded = VectorIndex.load(self._directory, dimension)
            if loaded is not None and loaded.transaction <= self._catalog.transaction_number:
                self._saved_transaction = loaded.transaction
                return loaded
            if len(self._catalog):
                _log.warning("%s: vectors.faiss is missing or damaged; rebuilding", self._directory)
        return VectorIndex(dimension)

    def _save_index(self) -> None:
        index = self._current_index()
        if index is None or self._directory is None or index.transaction == self._saved_transaction:
            return
        index.save(self._directory)
        self._saved_transaction = index.transaction

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("this space has been closed; open it again")

    def _lock_for_writing(self) -> None:
        self._check_open()
        if self._writer is not None or self._directory is None:
            return
        lock = FileLock(self._directory / "writer.lock")
        holder = self._directory / "writer.json"
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise StoreLockedError(
                f"{self._directory} is being written by {_read(holder)}; close that space first, "
                "or open yours in the same process"
            ) from None
        self._writer = lock
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return "another process"


def _common_dimension(items: Sequence[EmbeddedRecord]) -> int:
    dimensions = set()
    for item in items:
        if not item.vectors:
            raise StoreError(f"record {item.record.id!r} has no vector")
        dimensions |= {np.shape(vector)[-1] for vector in item.vectors.values()}
    if len(dimensions) != 1:
        raise StoreError(f"vectors of different dimensions in one call: {sorted(dimensions)}")
    return int(dimensions.pop())


def _hits(scores: Vector, vector_ids: object, records: dict[int, Record], k: int) -> list[Hit]:
    numbers = np.asarray(vector_ids, np.int64)
    owners = VectorId.rows(numbers).tolist()
    images = VectorId.are_images(numbers).tolist()
    hits = [
        Hit(records[owner], min(1.0, max(-1.0, float(score))), "image" if is_image else "text")
        for owner, is_image, score in zip(owners, images, scores, strict=True)
        if owner in records
    ]
    hits.sort(key=lambda hit: (-hit.score, hit.record.id))
    return hits[:k]
