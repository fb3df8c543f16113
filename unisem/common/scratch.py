"""`ScratchFolder`: a temporary folder that ends with the process that made it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from weakref import finalize

from unisem.common.filelock import FileLock

_PREFIX = "unisem-"
_OWNER = ".owner"  # locked by the processes that use the folder


class ScratchFolder:
    """Removed when it is closed or forgotten, or the process ends; a forked child leaves it.

    What a process left that was killed is removed by the next one that makes such a folder.

    Attributes:
        path: The folder, without links.
    """

    def __init__(self) -> None:
        _remove_left(os.getpid())
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
        self._finish = finalize(self, _remove, self.path, _locked(self.path), os.getpid())

    def close(self) -> None:
        """Remove it; safe to call twice."""
        self._finish()


def _locked(folder: Path) -> FileLock | None:
    """A lock that says that the folder is used; ``None`` where there are none, and it may stay."""
    new = folder / f"{_OWNER}.new"
    try:
        lock = FileLock(new)
        new.rename(folder / _OWNER)  # which is locked from the start
    except OSError:
        return None
    return lock


def _remove(folder: Path, lock: FileLock | None, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            lock.close()


@cache
def _remove_left(process: int) -> None:
    """Remove folders whose owners have ended, once a process; only this user's, and no links."""
    del process
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and _is_left(Path(entry.path)):
                shutil.rmtree(entry.path, ignore_errors=True)  # follows no links


def _is_left(folder: Path) -> bool:
    """Whether it is a scratch folder of this user's that nobody uses any more."""
    try:
        for path, kind in ((folder, stat.S_ISDIR), (folder / _OWNER, stat.S_ISREG)):
            known = path.lstat()
            if not kind(known.st_mode) or known.st_uid != os.getuid():
                return False
        FileLock(folder / _OWNER).close()
    except OSError:  # somebody uses it, or it has just gone
        return False
    return True
