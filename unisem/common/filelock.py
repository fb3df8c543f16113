"""`FileLock`: the system's lock on a file, which ends with the process at the latest."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class FileLock:
    """An advisory lock (``flock``), taken at once or not at all.

    Args:
        path: The file, made if it is missing; never removed.
        shared: Whether others may hold it too, all of them shared.
        wait: Whether to wait for it.

    Raises:
        BlockingIOError: Somebody else holds it.
        OSError: The file cannot be made, or its file system has no locks.
    """

    def __init__(self, path: Path, *, shared: bool = False, wait: bool = False) -> None:
        self._file: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(self._file, kind if wait else kind | fcntl.LOCK_NB)
        except BaseException:
            os.close(self._file)
            raise

    def close(self) -> None:
        """Let go of it."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)  # also for forked children, which have it too
            os.close(self._file)
            self._file = None

    def leave_to_parent(self) -> None:
        """In a forked child: the lock is the parent's alone, and ends with it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
