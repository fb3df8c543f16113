"""`insert`: many rows into a table, many to a statement.

A statement of one row costs about as much for being run as for the row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

_TOGETHER = 64  # rows; SQLite allows 32,766 parameters, and more rows save nothing


def insert(database: sqlite3.Connection, into: str, lines: Sequence[Sequence[Any]]) -> None:
    """Insert rows in order, in the caller's transaction.

    Args:
        database: The connection.
        into: The table, and its columns where not all are given; a constant, never a user's.
        lines: The rows' values, all of the same columns.
    """
    if not lines:
        return
    width = len(lines[0])
    row = f"({', '.join('?' * width)})"
    whole = len(lines) - len(lines) % _TOGETHER
    if whole:
        flat = list(chain.from_iterable(lines[:whole]))
        step = width * _TOGETHER
        database.executemany(
            f"INSERT INTO {into} VALUES {', '.join([row] * _TOGETHER)}",  # noqa: S608 - constants
            (flat[at : at + step] for at in range(0, len(flat), step)),
        )
    database.executemany(f"INSERT INTO {into} VALUES {row}", lines[whole:])  # noqa: S608
