"""`OpenFiles`: what a store works on while it is open, and who may touch it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from unisem.common.filelock import FileLock
from unisem.common.forks import Carried, Mutex, one_thread, undisturbed
from unisem.common.owned import check_owned
from unisem.errors import StoreError
from unisem.images.library import ImageLibrary
from unisem.stores.calibration_file import CalibrationFile
from unisem.stores.faiss.catalog import Catalog, Item, Items
from unisem.stores.faiss.index_settings import IndexSettings
from unisem.stores.faiss.snapshot_keeper import SnapshotKeeper
from unisem.stores.faiss.writerlock import WriterLock
from unisem.stores.frozen import held_frozen


class OpenFiles(Carried):
    """Catalogue, calibration, newest snapshot and writer's lock of one store.

    In a forked process the next call opens the files as if for the first time.

    Args:
        directory: Where the files are, created if absent; ``None`` for memory.
        image_library: Where the records' pictures lie.
        settings: Handed on to every segment.
        durability: See `FaissStore`.

    Raises:
        CorruptStoreError: The catalogue cannot be read, or links are in place of files.
    """

    def __init__(
        self,
        directory: Path | None,
        image_library: ImageLibrary,
        settings: IndexSettings,
        durability: str,
    ) -> None:
        self.directory = directory
        self.image_library = image_library
        self.mutex = Mutex()
        self.writer = WriterLock(directory)
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            check_owned(directory)
        self._durability = durability
        self._is_closed = False
        self._is_carried = False
        self._in_use = self._held()
        try:
            self.catalog = self._open_catalog()
        except BaseException:
            self._let_go()
            raise
        self.calibration = CalibrationFile(directory)
        self.snapshots = SnapshotKeeper(self.catalog, directory, settings, self.calibration)
        self.follow_forks()

    def _held(self) -> FileLock | None:
        return None if self.directory is None else held_frozen(self.directory)

    def _let_go(self) -> None:
        if self._in_use is not None:
            self._in_use.close()
            self._in_use = None

    def _open_catalog(self) -> Catalog:
        path = self.directory / "catalog.sqlite" if self.directory else None
        with undisturbed():
            return Catalog(path, self.image_library, durability=self._durability)

    def begin_anew(self) -> None:
        """See `Carried`."""
        self.writer.leave_to_parent()
        if self._in_use is not None:
            self._in_use.leave_to_parent()
            self._in_use = None
        self._is_carried = self.directory is not None
        one_thread("faiss")

    def check_open(self) -> None:
        """Have the files open, in this process.

        Raises:
            StoreError: They have been closed.
        """
        if self._is_closed:
            raise StoreError("this space has been closed; open it again")
        if self._is_carried:
            self._in_use = self._held()
            self.catalog = self._open_catalog()
            self.snapshots.carry_over(self.catalog)
            self._is_carried = False

    def lock_for_writing(self) -> None:
        """Have the files open, and be the process that writes.

        Raises:
            StoreLockedError: Another process is.
            StoreError: They have been closed, or cannot be written.
        """
        self.check_open()
        self.writer.acquire()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the store, which must be open."""
        with self.mutex:
            self.check_open()
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the store; the catalogue shows one committed state as long as this lasts."""
        with self.alone(), self.catalog.snapshot():
            yield

    def step_by_step(self, read: Callable[[Catalog], Items[Item]]) -> Iterator[Item]:
        """Read one state while writes go on; no fork comes within a step, or the end anywhere.

        Args:
            read: Begins to read a catalogue.
        """
        stack = ExitStack()
        try:
            with undisturbed():
                catalog = stack.enter_context(self.catalog.reader())
                left = stack.enter_context(closing(read(catalog)))
            while True:
                with undisturbed():
                    item = next(left, None)
                if item is None:
                    return
                self.check_open()
                yield item
        finally:
            with undisturbed():
                stack.close()

    def close(self, save: Callable[[], None]) -> None:
        """Let go of files and lock; safe to call twice.

        Args:
            save: Writes what is derived; called if this process has written, and the files are
                where they were.

        Raises:
            StoreError: What was written is not there any more.
        """
        with self.mutex:
            if self._is_closed:
                return
            if self._is_carried:  # nothing was begun here
                self._is_closed = True
                return
            is_lost = self.writer.is_held and not self.catalog.is_in_place
            try:
                if self.writer.is_held and not is_lost:
                    save()
            finally:
                self._is_closed = True
                self.catalog.close()
                self.writer.release()
                self._let_go()
            if is_lost:
                raise StoreError(
                    f"{self.directory} was removed or replaced while it was open; what was "
                    "written to it is not there any more"
                )
