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
MOST_BYTES = 1 << 22
"""Size from which a log of small commits is moved before the next one."""
_MANY_COMMITS = 8  # so many of the largest commit are room enough for a writer of large ones
_FORGET = 0.9  # how fast a single large commit is forgotten


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
        self._size, self._largest = 0, 0.0
        self._enough: float = MOST_BYTES
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
        try:
            size = os.stat(self._log).st_size
        except OSError:
            return
        self._largest = max(_FORGET * self._largest, size - self._size)
        self._size = size
        most = max(MOST_BYTES, _MANY_COMMITS * self._largest)
        if size <= most:
            self._enough = most
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
