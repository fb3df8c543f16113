"""`words_of` and `asked_words`: what Milvus's analyzer, which only cuts at spaces, gets to see.

Words are compared without case and diacritics. Scripts that put no spaces between words (Chinese,
Japanese, Thai, Lao, Khmer, Burmese), and Korean, are stored by characters and by overlapping pairs
of them; a query's run is looked for by its pairs, a lone character by itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

_RUN = re.compile(
    "([々〆〇\u3041-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uac00-\ud7af\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\uaa60-\uaa7f\U00020000-\U0003ffff]+)"
)
_MARKS = re.compile("[\u0300-\u036f\u00ad\ufe00-\ufe0f]")  # and what is not seen
_MOST_CHARACTERS, _MOST_TERMS = 10_000, 64  # of a query


def words_of(text: str | None, metadata: Mapping[str, Any]) -> str:
    """What of a record is found by its words: its text, and strings among its metadata."""
    said = [] if text is None else [text]
    for value in metadata.values():
        listed = value if isinstance(value, list | tuple) else [value]
        said += [item for item in listed if isinstance(item, str)]
    return " ".join(
        word if number % 2 == 0 else " ".join([*word, *map("".join, pairwise(word))])
        for number, word in enumerate(_RUN.split(_folded("\n".join(said))))
    )


def asked_words(text: str) -> str:
    """A user's text as terms; empty if it has none. Words have no syntax.

    >>> asked_words('"Big" Äpfel* 東京都 猫')
    'big apfel 東京 京都 猫'
    """
    found: dict[str, None] = {}
    for number, part in enumerate(_RUN.split(_folded(text[:_MOST_CHARACTERS]))):
        if number % 2 == 0:
            found |= dict.fromkeys(part.split())
        else:
            found |= dict.fromkeys(map("".join, pairwise(part)) if len(part) > 1 else part)
    return " ".join(list(found)[:_MOST_TERMS])


def _folded(text: str) -> str:
    """One spelling for what reads the same; what is no letter, mark or digit separates."""
    bare = _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    whole = unicodedata.normalize("NFC", bare)
    return "".join(it if unicodedata.category(it)[0] in "LMN" else " " for it in whole)
