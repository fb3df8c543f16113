"""`WriterLock`: one writing process for each space, and a clear word to the second."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

from unisem.common.filelock import FileLock
from unisem.common.purpose import purpose
from unisem.errors import StoreError, StoreLockedError
from unisem.stores.frozen import is_frozen


class WriterLock:
    """The lock of a space's directory, held from the first write until the space is closed.

    The system lets go of it when the process ends, however it ends.

    Args:
        directory: The space; ``None`` for one in memory, which nobody else can write.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._lock: FileLock | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process may write."""
        return self._lock is not None or self._directory is None

    def acquire(self) -> None:
        """Become the writer, or stay it.

        Raises:
            StoreLockedError: Another process is; names it.
            StoreError: The directory cannot be written, or is not to be.
        """
        if self.is_held or self._directory is None:
            return
        if is_frozen(self._directory):
            raise StoreError(
                f"{self._directory} is a replica's copy, which is only read; change the space that "
                "was published, and publish it again"
            )
        try:
            lock = FileLock(self._directory / "writer.lock")
        except BlockingIOError:
            raise StoreLockedError(
                f"{self._directory} is being written by {self._holder()}; close that space first. "
                "Threads of a process share one space: hand it on instead of opening it again. "
                "After a fork one process may write; the child may once its parent closes the space"
            ) from None
        except OSError as error:
            raise StoreError(f"{self._directory} cannot be written ({error})") from error
        self._lock = lock
        holder = f"process {os.getpid()} on {socket.gethostname()}"
        if (known := purpose()) is not None:
            holder = f"{known} ({holder})"
        with suppress(OSError):  # it only helps to explain
            (self._directory / "writer.json").write_text(holder, encoding="utf-8")

    def release(self) -> None:
        """Let another process write."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def leave_to_parent(self) -> None:
        """In a forked child: let go of the copy without taking the lock from the parent."""
        if self._lock is not None:
            self._lock.leave_to_parent()
            self._lock = None

    def _holder(self) -> str:
        assert self._directory is not None
        try:
            return (self._directory / "writer.json").read_text(encoding="utf-8")
        except OSError:
            return "another process"
