"""Whether the word index is whole: on a copy, because FTS5 checks only what it may write to."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import zip_longest
from typing import Any

from unisem.stores.faiss import words
from unisem.stores.faiss.database import DAMAGED

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
            if _is_otherwise(database, name, sql):
                yield "say otherwise than the records"
        except (sqlite3.Error, *DAMAGED) as error:
            yield f"have a damaged index ({error})"


def _is_otherwise(database: sqlite3.Connection, name: str, sql: str) -> bool:
    """Whether the index differs from one made anew; raises if FTS5 finds it inconsistent."""
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
        fresh = sqlite3.connect("", isolation_level=None)
        try:
            fresh.execute("BEGIN")
            fresh.execute(words.TABLE)
            words.WordIndex(fresh).add(words.entries(database))
            with closing(_contents(copy, name)) as old, closing(_contents(fresh, "words")) as new:
                return any(one != other for one, other in zip_longest(old, new))
        finally:
            fresh.close()
    finally:
        copy.close()


def _contents(database: sqlite3.Connection, name: str) -> Generator[tuple[Any, ...], None, None]:
    """Every word with its place, and what scores are computed from."""
    database.execute(f"CREATE VIRTUAL TABLE temp.contents USING fts5vocab(main, {name}, instance)")
    yield from database.execute("SELECT term, doc, col, offset FROM contents")
    yield from database.execute(f"SELECT id, sz FROM {name}_docsize ORDER BY id")  # noqa: S608
    averages = f"SELECT block FROM {name}_data WHERE id = 1"  # noqa: S608
    # FTS5 writes "none" in two ways, before the first entry and after the last.
    yield from database.execute(f"{averages} AND EXISTS (SELECT 1 FROM {name}_docsize)")  # noqa: S608
