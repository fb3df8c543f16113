"""`BlobLease`: which pictures in ``blobs/`` belong to records that are only just being added."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from unisem.common.filelock import FileLock
from unisem.common.forks import Carried, Mutex


class BlobLease(Carried):
    """Keeps them from being collected, by this process and by others; no clock is asked.

    Other processes are held off by a shared lock, which the system lets go of when this one ends.

    Args:
        directory: The space; ``None`` for one in memory.
    """

    def __init__(self, directory: Path | None) -> None:
        self._path = None if directory is None else directory / "pictures.lock"
        self._pending: set[str] = set()
        self._mutex = Mutex()
        self._lock: FileLock | None = None
        self.follow_forks()

    def begin_anew(self) -> None:
        """In a forked child: what is being added is the parent's affair."""
        self._pending.clear()
        if self._lock is not None:
            self._lock.leave_to_parent()
            self._lock = None

    def take(self, name: str) -> None:
        """A picture is about to be written, or is there, for a record that is to be added."""
        with self._mutex:
            self._pending.add(name)
            self._share()

    def settle(self, names: Iterable[str]) -> None:
        """Their records are stored."""
        with self._mutex:
            self._pending.difference_update(names)
            if not self._pending:
                self.close()

    @contextmanager
    def collecting(self) -> Iterator[set[str] | None]:
        """Nobody takes a picture meanwhile: those taken here, ``None`` if others have some."""
        with self._mutex:
            self.close()
            try:
                lock = None if self._path is None else FileLock(self._path)
            except OSError:  # others have some, or there are no locks here
                self._share()
                yield None
                return
            try:
                yield set(self._pending)
            finally:
                if lock is not None:
                    lock.close()
                self._share()

    def close(self) -> None:
        """Let others collect."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _share(self) -> None:
        if self._pending and self._lock is None and self._path is not None:
            with suppress(OSError):  # where there are no locks, nobody collects
                self._lock = FileLock(self._path, shared=True, wait=True)
