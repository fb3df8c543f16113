"""`Moment`: a point in one catalogue's past, which no other past shares.

A transaction's number alone does not say whose it is: a catalogue that was copied back counts on
from the copy's number, and so reaches the number of an index that was built of what was lost.
So every connection that writes begins an epoch with a random name, and the catalogue lists its
epochs. Pasts that part at a copy have no epoch in common after it.
"""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisem.records import Vector

_LARGEST = (1 << 63) - 1  # that SQLite can be asked about


@dataclass(frozen=True, slots=True)
class Moment:
    """The state after a write.

    Attributes:
        epoch: Name of the epoch in which it was written.
        transaction: How many writes there had been.
    """

    epoch: str
    transaction: int


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """What happened between two moments: rows removed, vectors added; and the later moment."""

    moment: Moment
    removed_rows: NDArray[np.int64]
    vector_ids: NDArray[np.int64]
    vectors: Vector


class Moments:
    """The table ``epochs``, by the number of the first write of each.

    Args:
        database: The catalogue's connection, whose transactions cover what happens here.
    """

    SCHEMA = ("CREATE TABLE IF NOT EXISTS epochs (first INTEGER PRIMARY KEY, epoch TEXT NOT NULL)",)

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._own = secrets.token_hex(16)

    def begin(self, transaction: int) -> Moment:
        """Take note that this connection makes this write, inside the caller's transaction."""
        if self._epoch_of(transaction) != self._own:
            self._db.execute("INSERT INTO epochs VALUES (?, ?)", (transaction, self._own))
        return Moment(self._own, transaction)

    def at(self, transaction: int) -> Moment:
        """The moment after a write of this catalogue's own past."""
        return Moment(self._epoch_of(transaction), transaction)

    def knows(self, moment: Moment) -> bool:
        """Whether a moment that is not in the future belongs to this catalogue's past."""
        number = moment.transaction
        return 0 <= number <= _LARGEST and self._epoch_of(number) == moment.epoch

    def forget(self, transaction: int) -> None:
        """Let go of epochs that ended before a write, inside the caller's transaction."""
        self._db.execute(
            "DELETE FROM epochs WHERE first < (SELECT max(first) FROM epochs WHERE first <= ?)",
            (transaction,),
        )

    def _epoch_of(self, transaction: int) -> str:
        found = self._db.execute(
            "SELECT epoch FROM epochs WHERE first <= ? ORDER BY first DESC LIMIT 1", (transaction,)
        ).fetchone()
        return "" if found is None else str(found[0])


def can_follow(database: sqlite3.Connection, moment: Moment, forgotten: int, current: int) -> bool:
    """Whether what reflects a moment can be brought up to a catalogue's present.

    Args:
        database: The catalogue, of the present format.
        moment: What it reflects.
        forgotten: Up to which write the catalogue no longer lists removals.
        current: The catalogue's last write.
    """
    return forgotten <= moment.transaction <= current and Moments(database).knows(moment)
