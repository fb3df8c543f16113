"""What a catalogue's database may consist of: our own tables, word for word, and nothing else.

A catalogue may come from a stranger. A trigger, a view in a table's place, a generated column or a
condition would run the stranger's SQL in the midst of ours, for as long as it likes.
"""

from __future__ import annotations

import re
import sqlite3

from unisem.errors import CorruptStoreError
from unisem.stores.faiss import graph_schema, words
from unisem.stores.faiss.moments import Moments
from unisem.stores.faiss.rawvectors import RawVectors
from unisem.stores.faiss.recordrows import RecordRows
from unisem.stores.faiss.unerased import Unerased
from unisem.stores.faiss.upgrades import FORMAT

TABLES = (
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS removals (row INTEGER PRIMARY KEY, at INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS removals_by_time ON removals (at)",
    *RecordRows.SCHEMA,
    *Unerased.SCHEMA,
    *RawVectors.SCHEMA,
    *Moments.SCHEMA,
    *graph_schema.TABLES,
)
"""Every table but the word index, which is made anew now and then."""

_NOT_MEANT = re.compile(r"--[^\n]*|IF NOT EXISTS|[\s'\"`]+")
_NAME = re.compile(r"CREATE (?:VIRTUAL )?(?:TABLE|INDEX) (?:IF NOT EXISTS )?'?(\w+)")
_INTERNAL = re.compile(
    r"sqlite_(sequence|autoindex_(records|facts|entities|entity_names|relations|mentions)_\d|stat\d)"
)
_ACTIVE = re.compile(r"\b(AS|CHECK|DEFAULT|COLLATE|REFERENCES)\b", re.IGNORECASE)


def check_schema(database: sqlite3.Connection, name: str, *, word_for_word: bool) -> None:
    """Refuse a catalogue with other parts than ours, before anything of it is read.

    One of a newer format is let pass, to be refused by its number.

    Args:
        database: Its connection.
        name: What the error calls it.
        word_for_word: Whether tables must be those of today's format; else, of a format before,
            they must be of our names and do nothing by themselves.

    Raises:
        CorruptStoreError: Names what is strange.
    """
    strange = _strange_parts(database, word_for_word=word_for_word)
    if not strange or ("facts" not in strange and _is_newer(database)):
        return
    raise CorruptStoreError(
        f"{name} has parts that unisem does not make: {', '.join(strange)[:200]}; "
        "it was changed by another program, so do not trust it"
    )


def _is_newer(database: sqlite3.Connection) -> bool:
    found = database.execute("SELECT value FROM facts WHERE name = 'format'").fetchone()
    return found is not None and isinstance(found[0], int) and found[0] > FORMAT


def _strange_parts(database: sqlite3.Connection, *, word_for_word: bool) -> list[str]:
    ours = (*TABLES, words.TABLE, *words.SHADOW_TABLES)
    names = {match[1] for match in map(_NAME.match, ours) if match}
    known = {_plain(statement) for statement in ours}
    strange = []
    for kind, name, sql in database.execute("SELECT type, name, sql FROM sqlite_schema"):
        if word_for_word:
            fits = _plain(str(sql)) in known
        else:
            fits = name in names and not _ACTIVE.search(str(sql))
        if kind not in ("table", "index") or not (fits or _INTERNAL.fullmatch(str(name))):
            strange.append(str(name))
    return strange


def _plain(statement: str) -> str:
    return _NOT_MEANT.sub("", statement)
