"""Whether the word index is whole: on a copy, because FTS5 checks only what it may write to."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

_TABLES = "SELECT name, sql FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%USING fts5%'"
_PARTS = ("data", "idx", "docsize", "config")


def damaged_word_indexes(database: sqlite3.Connection) -> Iterator[str]:
    """Say what is wrong with each FTS5 table of a catalogue.

    Args:
        database: A connection to the catalogue; it may be read-only.
    """
    tables = database.execute(_TABLES).fetchall()
    if not tables:
        yield "have no index"
    for name, sql in tables:
        if not name.isidentifier():
            yield f"have an index of the odd name {name!r}"
            continue
        try:
            (missing,) = database.execute(
                f"SELECT count(*) FROM records WHERE row NOT IN (SELECT id FROM {name}_docsize)"  # noqa: S608
            ).fetchone()
            (extra,) = database.execute(
                f"SELECT count(*) FROM {name}_docsize WHERE id NOT IN (SELECT row FROM records)"  # noqa: S608
            ).fetchone()
            if missing:
                yield f"of {missing:,} records are not in the index"
            if extra:
                yield f"of {extra:,} removed records are still in the index"
            _check_copy(database, name, sql)
        except sqlite3.Error as error:
            yield f"have a damaged index ({error})"


def _check_copy(database: sqlite3.Connection, name: str, sql: str) -> None:
    """Raise if FTS5 finds the table inconsistent."""
    copy = sqlite3.connect("", isolation_level=None)  # a temporary file that nobody sees
    try:
        copy.execute("BEGIN")
        copy.execute(sql)
        for part in _PARTS:
            copy.execute(f"DELETE FROM {name}_{part}")  # noqa: S608 - an identifier
            rows = database.execute(f"SELECT * FROM {name}_{part}")  # noqa: S608
            places = ", ".join("?" * len(rows.description))
            copy.executemany(f"INSERT INTO {name}_{part} VALUES ({places})", rows)  # noqa: S608
        copy.execute("COMMIT")
        copy.execute(f"INSERT INTO {name} ({name}) VALUES ('integrity-check')")  # noqa: S608
    finally:
        copy.close()
