"""`Checkpointer`: moves SQLite's log into the file beside the writer, so that commits need not."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

_ENOUGH = 1_000  # changed rows that are worth moving; each is a page or a few in the log
MOST_PAGES = 32_768
"""Pages from which a commit moves the log itself, for a writer that never pauses."""


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
        self._changed = 0
        self._thread: threading.Thread | None = None

    def committed(self, rows: int) -> None:
        """Take note of a commit that changed so many rows; may start a thread, never waits."""
        self._changed += rows
        busy = self._thread is not None and self._thread.is_alive()
        if self._changed >= _ENOUGH and not busy:
            self._changed = 0
            self._thread = threading.Thread(
                target=self._move, name="unisem-checkpoint", daemon=True
            )
            self._thread.start()

    def _move(self) -> None:
        with (
            suppress(sqlite3.Error),  # a full disk is the next commit's to report
            closing(sqlite3.connect(self._path, isolation_level=None)) as database,
        ):
            database.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def wait(self) -> None:
        """Wait until the thread has done what it is at."""
        if self._thread is not None:
            self._thread.join()
