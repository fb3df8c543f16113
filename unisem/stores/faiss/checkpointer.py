"""`Checkpointer`: moves SQLite's log into the file beside the writer, so that commits need not."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

from unisem.common.forks import start_undisturbed
from unisem.stores.faiss.connection import connect

_ENOUGH = 1_000  # changed rows that are worth moving; each is a page or a few in the log
MOST_PAGES = 32_768
"""Pages from which a commit moves the log itself, for a writer that never pauses."""
_SHARE = 4  # a log of more than this part of the catalogue is moved before the next commit,
_FEWEST_BYTES = 1 << 20  # unless it is smaller than that


class Checkpointer:
    """Runs ``wal_checkpoint(PASSIVE)`` in a thread of its own, over a connection of its own.

    That stops neither readers nor the writer, and changes nothing that anybody can see: what is
    committed is in the log, and stays readable there until it is in the file and safe. What the
    thread cannot do, a later commit or the closing of the file does.

    Args:
        path: The catalogue's file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = f"{path}-wal"
        self._enough = 0
        self._changed = 0
        self._thread: threading.Thread | None = None

    def committed(self, rows: int) -> None:
        """Take note of a commit that changed so many rows; may start a thread.

        It waits only where the log has outgrown what the thread could move between commits.
        """
        self._bound()
        self._changed += rows
        busy = self._thread is not None and self._thread.is_alive()
        if self._changed >= _ENOUGH and not busy:
            self._changed = 0
            self._thread = start_undisturbed(self._move, "unisem-checkpoint")

    def _bound(self) -> None:
        size, most = _size(self._log), largest_log(self._path)
        if size <= most:
            self._enough = 0
        elif size > self._enough:  # all is moved now, so that the next commit begins the log anew
            self.wait()
            self._move()
            self._enough = size + most  # where a reader is in the way, not at every commit

    def _move(self) -> None:
        with (
            suppress(sqlite3.Error),  # a full disk is the next commit's to report
            closing(connect(self._path, "write")) as database,
        ):
            database.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def wait(self) -> None:
        """Wait until the thread has done what it is at."""
        if self._thread is not None:
            self._thread.join()


def largest_log(path: Path) -> int:
    """How many bytes the log of a catalogue should have at most."""
    return max(_FEWEST_BYTES, _size(path) // _SHARE)


def _size(path: str | Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
