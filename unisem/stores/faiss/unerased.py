"""`Unerased`: removed records that still lie in the catalogue, which nobody finds any more.

To erase one means to write the page of its row, one of the index of ids and one of words' sizes.
Among a million records these are pages of its own for each, and nearly all of what a removal would
cost. So rows are only noted in ``unerased`` at first. They are erased when the store is compacted,
and a few with each removal once more of them wait than a tenth of the records that live. The
words of what waits still count when it is reckoned how rare a word is.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LIVING = "records.row NOT IN (SELECT row FROM unerased)"
"""What holds for the rows of ``records`` that are not removed."""
_SHARE = 10  # of so many living records one removed may wait,
_MOST = 100_000  # and in all no more than this


class Unerased:
    """The table ``unerased``, the rows of removed records that are in ``records`` still.

    Args:
        database: The catalogue's connection, whose transactions cover what happens here.
    """

    SCHEMA = ("CREATE TABLE IF NOT EXISTS unerased (row INTEGER PRIMARY KEY)",)

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._room = 0  # so many may be removed before somebody need look how many wait

    def add(self, rows: Sequence[int]) -> None:
        """Take note that records are removed."""
        self._db.executemany("INSERT INTO unerased VALUES (?)", ((row,) for row in rows))
        self._room -= 2 * len(rows)  # each is one more that waits, and lowers what may

    def forget(self, rows: Sequence[int]) -> None:
        """Take note that removed records are erased, or that they never waited."""
        self._db.executemany("DELETE FROM unerased WHERE row = ?", ((row,) for row in rows))

    def rows(self, most: int = -1) -> NDArray[np.int64]:
        """The rows that wait, oldest first; at most so many, all of them by default."""
        found = self._db.execute("SELECT row FROM unerased ORDER BY row LIMIT ?", (most,))
        return np.fromiter((row for (row,) in found), np.int64)

    def among(self, rows: Sequence[int]) -> NDArray[np.int64]:
        """Those of some rows that wait."""
        found = self._db.execute(
            "SELECT row FROM unerased WHERE row IN (SELECT value FROM json_each(?))",
            (json.dumps(list(rows)),),
        )
        return np.fromiter((row for (row,) in found), np.int64)

    def due(self, at_once: int) -> NDArray[np.int64]:
        """The rows that are to be erased now, as more wait than may; at most so many."""
        if self._room >= 0:
            return np.empty(0, np.int64)
        waiting = len(self)
        (there,) = self._db.execute("SELECT count(*) FROM records").fetchone()
        most = min(_MOST, (there - waiting) // _SHARE)
        self._room = most - waiting
        return self.rows(min(max(0, waiting - most), at_once))

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM unerased").fetchone()[0])


def unerased_rows(database: sqlite3.Connection, but: str = "") -> NDArray[np.int64]:
    """The rows that wait, ascending, of a catalogue that may be of a format before.

    Args:
        database: Its connection.
        but: What else the statement says of them; a constant.
    """
    if living(database) != LIVING:
        return np.empty(0, np.int64)
    found = database.execute(f"SELECT row FROM unerased {but} ORDER BY row")  # noqa: S608
    return np.fromiter((row for (row,) in found), np.int64)


def living(database: sqlite3.Connection) -> str:
    """`LIVING`, or what says as much of a catalogue of a format before."""
    found = database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'unerased'").fetchone()
    return LIVING if found else "TRUE"
