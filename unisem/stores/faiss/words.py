"""`WordIndex`: keyword search over records, SQLite's FTS5 with BM25.

What is searched of a record: its text or caption (weight 1.0), and the strings and lists of strings
among its metadata (weight 0.5). Words are compared without case and diacritics. Scripts that put
no spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese), and Korean, whose endings
are joined to its words, are stored character by character; a query's run of them is looked for as
overlapping pairs, a lone character by itself. So ``猫`` finds ``黒猫``, and ``東京`` does not find
``京東``.

The table is contentless: it holds the inverted index only, and the text once more nowhere. To
remove a row FTS5 must be told what was put in, which is computed again from the record; `VERSION`
says by which rules, and when those change the next write builds the index anew.
"""

from __future__ import annotations

import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from itertools import pairwise
from typing import Any, Literal

from unisem.stores.faiss.sql import compile_selection
from unisem.stores.faiss.word_parts import related_terms
from unisem.stores.selection import Selection

VERSION = f"1, Unicode {unicodedata.unidata_version}"
"""By which rules the index was filled."""

TEXT_WEIGHT, METADATA_WEIGHT = 1.0, 0.5
MAX_CHARACTERS = 10_000
"""So much of a query is read."""
MAX_TERMS = 64
"""So many different terms of a query count, the first ones."""

Words = Literal["whole", "parts"]
"""What a word of a query is looked for as: a word, or a part of one, too."""

Entry = tuple[int, str | None, Mapping[str, Any]]
"""A record's row, its text and its metadata."""

TABLE = """\
CREATE VIRTUAL TABLE words USING fts5(
    text, metadata, content = '',
    tokenize = "unicode61 remove_diacritics 2 categories 'L* M* N*'"
)"""
SHADOW_TABLES = (
    "CREATE TABLE words_data (id INTEGER PRIMARY KEY, block BLOB)",
    "CREATE TABLE words_idx (segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID",
    "CREATE TABLE words_docsize (id INTEGER PRIMARY KEY, sz BLOB)",
    "CREATE TABLE words_config (k PRIMARY KEY, v) WITHOUT ROWID",
)
"""What FTS5 makes beside it."""
_MERGING = {"automerge": 16, "crisismerge": 64}
"""How many parts the index may have of each size; with FTS5's 4 a large addition writes twice as
much."""
_FIND = f"""
SELECT records.row, -bm25(words, {TEXT_WEIGHT}, {METADATA_WEIGHT}) AS score
FROM words CROSS JOIN records ON records.row = words.rowid
WHERE words MATCH ? AND {{condition}}
ORDER BY score DESC, records.id LIMIT ?"""  # noqa: S608 - constants, and a compiled condition

_SCRIPTS = (
    "々〆〇\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",  # Han
    "\u3041-\u309f",  # Hiragana
    "\u30a1-\u30ff\u31f0-\u31ff",  # Katakana
    "\u3105-\u312f\u31a0-\u31bf",  # Bopomofo
    "\uac00-\ud7af",  # Hangul
    "\u0e01-\u0e7f",  # Thai
    "\u0e80-\u0eff",  # Lao
    "\u1000-\u109f\uaa60-\uaa7f",  # Myanmar
    "\u1780-\u17ff",  # Khmer
)
_MARKS = (  # what belongs to the character before it, in these scripts
    "\u3099\u309a\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece"
    "\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d"
    "\u108f\u109a-\u109d\u17b4-\u17d3\u17dd"
)
_CHARACTER = f"[{''.join(_SCRIPTS)}][{_MARKS}]*"
_RUN = "(" + "|".join(f"(?:[{script}][{_MARKS}]*)+" for script in _SCRIPTS) + ")"
_INVISIBLE = re.compile("[\u00ad\ufe00-\ufe0f\U000e0100-\U000e01ef]")  # soft hyphen, variants


class WordIndex:
    """The table ``words``, one row for each record; writes belong to the caller's transaction.

    Args:
        database: The catalogue's connection; it has the table ``records``.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def rebuild(self) -> None:
        """Make the index anew from the records, but for damaged ones that cannot be read."""
        self._db.execute("DROP TABLE IF EXISTS words")
        self._db.execute(TABLE)
        for name, value in _MERGING.items():
            self._db.execute("INSERT INTO words (words, rank) VALUES (?, ?)", (name, value))
        self.add(entries(self._db))

    def add(self, records: Iterable[Entry]) -> None:
        """Enter records."""
        self._db.executemany(  # one by one: FTS5 writes what it has after each statement of several
            "INSERT INTO words (rowid, text, metadata) VALUES (?, ?, ?)",
            ((row, *_searchable(text, metadata)) for row, text, metadata in records),
        )

    def remove(self, records: Iterable[Entry]) -> None:
        """Take records out, given as they were entered."""
        self._db.executemany(
            "INSERT INTO words (words, rowid, text, metadata) VALUES ('delete', ?, ?, ?)",
            ((row, *_searchable(text, metadata)) for row, text, metadata in records),
        )

    def merge(self) -> None:
        """Write the index as one part, which leaves nothing of records that were taken out."""
        self._db.execute("INSERT INTO words (words) VALUES ('optimize')")

    def search(
        self, text: str, k: int, selection: Selection, words: Words = "whole"
    ) -> list[tuple[int, float]]:
        """Rows and BM25 scores of the best of the selected records that have any of the terms.

        Or, with ``"parts"``, any related one; a term that was asked for counts twice then.
        How rare a term is counts over all records, so a selection changes no score. Scores are
        above 0, higher is better; ties are in the order of ids.
        """
        wanted = terms(text)
        if not wanted or k <= 0:
            return []
        condition, parameters = compile_selection(selection)
        related = related_terms(self._db, wanted) if words == "parts" else []
        counted = [*wanted, *wanted, *related] if related else wanted
        matching = " OR ".join(f'"{term}"' for term in counted)
        return self._db.execute(
            _FIND.format(condition=condition), (matching, *parameters, min(k, 2**62))
        ).fetchall()


def terms(text: str) -> list[str]:
    """Cut a user's text into FTS5 phrases; what is no letter, digit or mark only separates.

    So nothing of FTS5's syntax can come through, and any text is allowed.

    >>> terms('"big" tigers* NEAR(東京都, 猫)')
    ['big', 'tigers', 'near', '東 京', '京 都', '猫']
    """
    found: dict[str, None] = {}
    for word in _normalised(text[:MAX_CHARACTERS]).split():
        for number, part in enumerate(_compiled(_RUN).split(word)):
            if number % 2 == 0:  # between the runs; a run of one script at every odd place
                found |= {part: None} if part else {}
                continue
            characters = _compiled(_CHARACTER).findall(part)
            pairs = [" ".join(pair) for pair in pairwise(characters)]
            found |= dict.fromkeys(pairs or characters)
    return list(found)[:MAX_TERMS]


def entries(database: sqlite3.Connection) -> Iterator[Entry]:
    """What is to be found of every record of a catalogue that can be read."""
    columns = f"row, {as_bytes('text')}, {as_bytes('metadata')}"
    for row, text, metadata in database.execute(f"SELECT {columns} FROM records ORDER BY row"):  # noqa: S608
        with suppress(ValueError, TypeError, RecursionError):
            parsed = json.loads(metadata)
            if isinstance(parsed, dict):
                yield row, None if text is None else text.decode(), parsed


def as_bytes(column: str) -> str:
    """An expression for a column's bytes: a text that is none fails when decoded, not when read."""
    return f"CAST({column} AS BLOB)"


def _searchable(text: str | None, metadata: Mapping[str, Any]) -> tuple[str, str]:
    strings = []
    for value in metadata.values():
        if isinstance(value, str):
            strings.append(value)
        elif isinstance(value, (list, tuple)):
            strings += [item for item in value if isinstance(item, str)]
    return _segmented(text or ""), _segmented("\n".join(strings))


def _segmented(text: str) -> str:
    """Put characters apart that are words of their own in the index."""
    return text if text.isascii() else _compiled(_CHARACTER).sub(r" \g<0> ", _normalised(text))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """When words are first looked at: it takes 15 ms, and most searches are by meaning."""
    return re.compile(pattern)


def _normalised(text: str) -> str:
    """One spelling for what reads the same (case, full width, ligatures, ``ß``); words only."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text.casefold())).translate(_letters)


class _Letters(dict[int, int]):
    """Maps what is no letter, mark or digit to a space; remembers what it was asked."""

    def __missing__(self, code: int) -> int:
        kept = unicodedata.category(chr(code))[0] in "LMN"
        self[code] = code if kept else ord(" ")
        return self[code]


_letters = _Letters()
