"""`opened_cache`: an SQLite file of derived content, which may be a stranger's."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

_PATIENCE = 30  # seconds to wait for another process


@contextmanager
def opened_cache(path: Path, *tables: str, largest: int) -> Iterator[sqlite3.Connection]:
    """Open a cache for the length of the block: nothing is left open for a fork to inherit.

    Args:
        path: The file, made if absent.
        tables: Statements that create its tables.
        largest: Bytes of its longest row or statement.

    Raises:
        sqlite3.Error: It is damaged, holds what no cache does, or cannot be opened.
    """
    name = f"file:{quote(os.fsencode(path.absolute()))}?mode=rwc"
    with closing(sqlite3.connect(name, uri=True, timeout=_PATIENCE)) as connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, largest)
        connection.execute("PRAGMA trusted_schema = OFF")
        for table in tables:
            connection.execute(table)
        strange = "SELECT 1 FROM sqlite_schema WHERE type IN ('view', 'trigger')"
        if connection.execute(strange).fetchone():
            raise sqlite3.DatabaseError("it holds what no cache does")
        yield connection
