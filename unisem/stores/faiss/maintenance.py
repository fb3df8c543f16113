"""`FaissMaintenance`: looks after an embedded store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from unisem.errors import StoreError
from unisem.images.library import ImageLibrary
from unisem.stores.faiss.backup import back_up
from unisem.stores.faiss.checking import check_store
from unisem.stores.faiss.readonly import read_only, writer_of
from unisem.stores.faiss.salvage import Salvage
from unisem.stores.faiss.staging import stage_store
from unisem.stores.faiss.statistics import StoreStatistics
from unisem.stores.maintenance import Finding, Maintenance, Staged

if TYPE_CHECKING:
    from unisem.stores.faiss.store import FaissStore


class FaissMaintenance(Maintenance):
    """Reads a store's files without opening it: nothing is upgraded, caught up or locked.

    Args:
        directory: Where they are; ``None`` for a store in memory, which has none.
        image_library: Where its records' pictures lie.
        writer: The store to compact, opened for that if need be.
    """

    def __init__(
        self,
        directory: Path | None,
        image_library: ImageLibrary,
        writer: Callable[[], AbstractContextManager[FaissStore]],
    ) -> None:
        self._path = directory
        self._image_library = image_library
        self._writer = writer

    @property
    def _directory(self) -> Path:
        if self._path is None:
            raise StoreError("a space in memory has no files; export it instead")
        return self._path

    def statistics(self) -> StoreStatistics:
        """See `StoreStatistics.of`."""
        return StoreStatistics.of(self._directory)

    def writer(self) -> str | None:
        """See `writer_of`."""
        return writer_of(self._directory)

    def check(self, *, progress: Callable[[str], None] | None = None) -> Iterator[Finding]:
        """See `check_store`."""
        return check_store(self._directory, self._image_library, progress=progress)

    @contextmanager
    def salvage(self) -> Iterator[Salvage]:
        """See `Salvage`."""
        with read_only(self._directory) as database:
            yield Salvage(database, self._image_library)

    def backup(self, destination: Path) -> None:
        """See `back_up`."""
        back_up(self._directory, destination)

    def stage(self, destination: Path) -> Staged:
        """See `stage_store`."""
        return stage_store(self._directory, self._image_library, destination)

    def compact(self, index: str | None = None) -> tuple[str, ...]:
        """See `FaissStore.compact` and `FaissStore.shrink`."""
        with self._writer() as store:
            return store.compact(index), store.shrink()
