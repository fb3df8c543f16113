"""`MilvusMaintenance`: what looks after a space in Milvus, as far as Milvus does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from unisem.errors import CorruptStoreError, StoreError
from unisem.records import EmbeddedRecord
from unisem.stores.maintenance import Finding, Maintenance, Statistics
from unisem.stores.milvus.space import INDEXES

if TYPE_CHECKING:
    from unisem.stores.milvus.store import MilvusStore


class MilvusMaintenance(Maintenance):
    """Counts, checks and tidies; copies are exports, or Milvus's own backups.

    Args:
        uri: Where the space is.
        opened: Opens its store.
    """

    def __init__(self, uri: str, opened: Callable[[], AbstractContextManager[MilvusStore]]) -> None:
        self._uri = uri
        self._opened = opened

    @contextmanager
    def _store(self) -> Iterator[MilvusStore]:
        with self._opened() as store:
            if not store.exists:
                raise StoreError(f"there is no space at {self._uri}")
            yield store

    def statistics(self) -> Statistics:
        """As `Maintenance.statistics`."""
        with self._store() as store:
            return store.statistics()

    def check(self, *, progress: Callable[[str], None] | None = None) -> Iterator[Finding]:
        """Whether every record can be read and has its vectors, and what writers have left."""
        with self._store() as store:
            if progress is not None:
                progress("records")
            with self._salvage(store) as found:
                for _ in found:
                    continue
            if found.lost:
                yield Finding("records", True, f"{found.lost:,} cannot be read; add them again")
            if found.without_vectors:
                text = f"{found.without_vectors:,} have lost vectors; add their records again"
                yield Finding("vectors", True, text)
            if left := store.unfinished():
                text = f"{left:,} writes are going on, or were interrupted; the next one tidies up"
                yield Finding("writes", False, text)

    @contextmanager
    def salvage(self) -> Iterator[MilvusSalvage]:
        """As `Maintenance.salvage`."""
        with self._store() as store, self._salvage(store) as found:
            yield found

    @contextmanager
    def _salvage(self, store: MilvusStore) -> Iterator[MilvusSalvage]:
        yield MilvusSalvage(store)

    def backup(self, destination: Path) -> None:
        """Refused: there are no files."""
        raise StoreError(
            f"{self._uri} has no files to copy; export it (unisem store export), or use Milvus's "
            "own backup"
        )

    def compact(self, index: str | None = None) -> tuple[str, ...]:
        """Take back what dead writers have left; Milvus compacts by itself.

        Args:
            index: ``None``, or ``"auto"``: the index stays as it was made.
        """
        if index not in (None, "auto"):
            listed = ", ".join(INDEXES)
            raise ValueError(
                f"a space in Milvus keeps the index that it was made with, one of {listed}; for "
                f"{index!r} export it and import it anew"
            )
        with self._store() as store:
            count = store.tidy()
        return (f"took back {count:,} leftovers of interrupted writes; Milvus compacts by itself",)


class MilvusSalvage:
    """One pass over a store's records, as `unisem.stores.maintenance.Salvage`."""

    def __init__(self, store: MilvusStore) -> None:
        self._store = store
        self.dimension = store.dimension
        self.read = self.without_vectors = self.lost = 0
        self.may_be_removed = False
        self.graph = None

    def __iter__(self) -> Iterator[EmbeddedRecord]:
        for found in self._store.salvaged():
            if isinstance(found, CorruptStoreError):
                self.lost += 1
                continue
            self.read += 1
            self.without_vectors += not found.vectors
            yield found
