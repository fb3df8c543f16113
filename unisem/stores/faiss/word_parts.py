"""`related_terms`: terms of the index that a word is a part of, or that are parts of it.

German writes as one word what English puts apart. Asked for ``Mütze``, the index has
``Pudelmütze``, and the other way round. Nothing is stored for that: the terms that the index has
are its own list of words, read through FTS5's ``fts5vocab``.

A word and a term are related if one begins or ends with the other. Letters that an ending or a
joint adds need no rule then (``Hund``, ``Hunde``, ``Hundehütte``). ``ä``, ``ö`` and ``ü`` are
looked for as ``ae``, ``oe`` and ``ue``, too, and these as those.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator

LEAST = 4
"""Letters of a part; of a part of a word that is asked for, one more where it is not its end."""
MOST = 64
"""So many related terms count, those nearest in length to the word."""
_ASKED = 16  # words of a query, for each of which the terms are gone through
_LONGEST = 64  # letters of a word that is cut
_VOCABULARY = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS temp.terms USING fts5vocab('main', 'words', 'row')"
)
_UMLAUTS = (("ä", "ae"), ("ö", "oe"), ("ü", "ue"))


def related_terms(database: sqlite3.Connection, words: Iterable[str]) -> list[str]:
    """Terms of the table ``words`` that are related to words of a query, and are none of them.

    Args:
        database: The catalogue's connection; a temporary table is made in it.
        words: As `unisem.stores.faiss.words.terms` gives them; those of characters that are
            words of their own are left as they are.
    """
    asked = [word for word in words if word.isalpha() and LEAST <= len(word) <= _LONGEST][:_ASKED]
    if not asked:
        return []
    database.execute(_VOCABULARY)
    known = {_folded(word) for word in asked}
    found: dict[str, int] = {}
    for word in asked:
        for spelling in _spellings(word):
            for term in _longer(database, spelling):
                found.setdefault(term, len(term) - len(spelling))
            for part in _shorter(database, spelling):
                found.setdefault(part, len(spelling) - len(part))
    nearest = sorted(found.keys() - known, key=lambda term: (found[term], term))
    return nearest[:MOST]


def _folded(word: str) -> str:
    """Without diacritics, as FTS5 keeps terms."""
    apart = unicodedata.normalize("NFD", word)
    return "".join(letter for letter in apart if unicodedata.category(letter) != "Mn")


def _spellings(word: str) -> list[str]:
    """A word as it may stand in the index, umlauts as one letter or as two."""
    there = back = word
    for one, two in _UMLAUTS:
        there, back = there.replace(one, two), back.replace(two, one)
    return list(dict.fromkeys(map(_folded, (word, there, back))))


def _longer(database: sqlite3.Connection, word: str) -> Iterator[str]:
    """Terms that begin or end with a word, the shortest first; the word itself, if it is one."""
    rows = database.execute(
        "SELECT term FROM temp.terms WHERE substr(term, 1, ?1) = ?2 OR substr(term, -?1) = ?2"
        " ORDER BY length(term), term LIMIT ?3",
        (len(word), word, MOST),
    )
    return (term for (term,) in rows)


def _shorter(database: sqlite3.Connection, word: str) -> Iterator[str]:
    """Terms that a word begins or ends with."""
    ends = [word[start:] for start in range(1, len(word) - LEAST + 1)]
    starts = [word[:end] for end in range(LEAST + 1, len(word))]
    for part in (*ends, *starts):
        if database.execute("SELECT 1 FROM temp.terms WHERE term = ?", (part,)).fetchone():
            yield part
