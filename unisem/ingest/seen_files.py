"""`SeenFiles`: what a folder's files looked like from outside when they were read last.

A file whose size, times and number on the disk are what they were is not read again, as git and
rsync have it. So that is kept beside a digest of the record that it gave: where the record has been
changed, removed or damaged since, the file is read. All of it may be deleted at any time.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from unisem.common.cache_file import opened_cache
from unisem.common.owned import is_own_file

SEEN_FILE = "seen.sqlite"
"""The file in a space's directory."""

_TABLE = """CREATE TABLE IF NOT EXISTS seen (
    id TEXT PRIMARY KEY, look BLOB NOT NULL, record BLOB NOT NULL) WITHOUT ROWID"""
_AT_ONCE = 1000  # rows that are written together
_LARGEST = 1 << 22  # bytes of a statement's list of ids

Seen = tuple[bytes, bytes]
"""What a file looked like, and a digest of its record, or of the document's bytes."""


class SeenFiles:
    """See the module.

    Args:
        path: The file that keeps it; ``None`` keeps it in memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._is_known = True
        self._known: dict[str, Seen] = {}  # of a file: what waits to be written

    def unread(self) -> SeenFiles:
        """The same, of which nothing is known yet: every file is to be read again."""
        again = SeenFiles(self._path)
        again._is_known = False
        return again

    def of(self, ids: Sequence[str]) -> dict[str, Seen]:
        """What is known of records, or documents, by their ids; nothing if it cannot be read."""
        if not self._is_known:
            return {}
        found = {name: self._known[name] for name in ids if name in self._known}
        if self._path is None or not is_own_file(self._path):
            return found
        try:
            with opened_cache(self._path, _TABLE, largest=_LARGEST) as connection:
                rows = connection.execute(
                    "SELECT id, look, record FROM seen"
                    " WHERE id IN (SELECT value FROM json_each(?))",
                    (json.dumps(list(ids)),),
                ).fetchall()
        except sqlite3.Error:
            return found
        return {name: (look, record) for name, look, record in rows if _fits(look, record)} | found

    def note(self, name: str, look: bytes, record: bytes) -> None:
        """Keep what a file looks like whose record is stored."""
        self._known[name] = look, record
        if self._path is not None and len(self._known) >= _AT_ONCE:
            self.write()

    def write(self) -> None:
        """Write what was noted; where the disk refuses, those files are read again."""
        if self._path is None or not self._known:
            return
        rows = [(name, *seen) for name, seen in self._known.items()]
        self._known = {}
        if os.path.lexists(self._path) and not is_own_file(self._path):
            return  # a link, as a stranger's space may have it
        try:
            with opened_cache(self._path, _TABLE, largest=_LARGEST) as connection, connection:
                connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", rows)
        except sqlite3.OperationalError:
            return
        except sqlite3.DatabaseError:  # it is damaged; the next run makes it anew
            with suppress(OSError):
                self._path.unlink()


def _fits(*values: object) -> bool:
    return all(isinstance(value, bytes) and len(value) == 16 for value in values)
