"""`spoken`: a name as it is compared, whatever its case, accents, hyphens and spaces."""

from __future__ import annotations

import re
import unicodedata

_ACCENTS = re.compile("[\u0300-\u036f]")  # other marks, as of Japanese, are part of the letter
_OTHER = re.compile(r"[^\w]+|_+")
_UNSPACED = re.compile(  # scripts without spaces between words: each character is a word here
    "([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])"
)


def spoken(name: str) -> str:
    """The words of a name, folded, with single spaces; empty if it has none.

    >>> spoken("Five-String  BANJO"), spoken("Gérard's")
    ('five string banjo', 'gerard s')
    """
    if name.isascii():
        return " ".join(_OTHER.sub(" ", name.lower()).split())
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", name.casefold()))
    whole = unicodedata.normalize("NFC", plain)
    return " ".join(_OTHER.sub(" ", _UNSPACED.sub(r" \1 ", whole)).split())
