"""What a person is told who may not find what there is."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING

from unisem.common.printable import plain
from unisem.filters import Field, fields_of
from unisem.stores.selection import Selection

if TYPE_CHECKING:
    from unisem.encoders import Encoder
    from unisem.search.query import Query
    from unisem.space import SemanticSpace

_ENGLISH_ONLY = ("mini",)  # by what is known of them; of other models' languages nothing is
_LOOKED_AT = 1000  # records whose fields are known
_FIELDS = 8  # that are named
_WORD = re.compile(r"[^\W\d_]+")
_FOREIGN = frozenset(
    # Small words of German, French, Spanish, Italian, Portuguese, Dutch that no English text has.
    _WORD.findall(
        "der das ein eine einen einem einer und auf ist vor für über nicht zwei ohne beim unter "
        "une dans avec chez "
        "una entre junto sobre "
        "gli uno nella che sulla senza degli "
        "umas uma numa não sem dos "
        "het een voor zonder bij naar"
    )
)
_PERHAPS = frozenset(
    # That English has in names and titles; two of them in a text without an English one tell.
    _WORD.findall(
        "mit im von den dem des die las los le la les un du et pour sur sans sous aux est de del "
        "el con en y il lo di nel della os em na num com o da e van op"
    )
)
_ENGLISH = frozenset(_WORD.findall("the and of with in at on is are from to for by near"))


def advice(query: Query, space: SemanticSpace) -> str:
    """What to try where a question found nothing, as a sentence; empty if nothing is known."""
    if not len(space):
        return "The space is empty: fill it with unisem index FOLDER --into SPACE."
    tries = [
        "fewer filters" if query.selection.filter is not None else "",
        "a lower --min-score" if query.min_score is not None else "",
        "a lower --min-relevance" if query.min_relevance is not None else "",
        "no --modality" if query.selection.modality is not None else "",
        "no --match" if query.match != "any" else "",
        "--mode hybrid, which looks for what is meant as well"
        if query.mode == "keyword" and query.text
        else "",
    ]
    tries = [it for it in tries if it]
    whole = [_unknown_fields(query, space), f"Try {_listed(tries)}." if tries else ""]
    return " ".join(filter(None, whole))


def _unknown_fields(query: Query, space: SemanticSpace) -> str:
    """Which metadata a filter names that no record has, and what it may have meant."""
    condition = query.selection.filter
    named = sorted(fields_of(condition)) if condition is not None else []
    unknown = [it for it in named if not space.store.count(Selection(filter=Field(it).exists()))]
    if not unknown:
        return ""
    some = islice(space.store.select(), _LOOKED_AT)
    seen = Counter(name for record in some for name in record.metadata)
    known = [name for name, _ in seen.most_common(_FIELDS)]
    near = [it for name in unknown for it in get_close_matches(name, list(seen), n=1)]
    meant = f"do you mean {_listed(near)}?" if near else f"there are {', '.join(known)}."
    nobody = f"No record has {_listed(unknown)}"
    return plain(f"{nobody}: {meant}" if known else f"{nobody}.")


def unknown_language(query: Query, encoder: Encoder) -> str:
    """A note if a question is in no language that the encoder knows; empty if it may be in one."""
    if query.text is None or query.mode == "keyword" or encoder.name not in _ENGLISH_ONLY:
        return ""
    script = _foreign_script(query.text)
    if script is None and not _is_foreign(query.text):
        return ""
    what = "in another language than English" if script is None else f"in {script} letters"
    return (
        f"This seems to be {what}, and the encoder {encoder.name} knows English only: a space made "
        "with --encoder mini-multilingual understands a hundred languages."
    )


def _foreign_script(text: str) -> str | None:
    """The script of most letters, if it is not the Latin one."""
    scripts: dict[str, int] = {}
    for letter in filter(str.isalpha, text):
        name = unicodedata.name(letter, "UNKNOWN").split()[0].partition("-")[0]
        scripts[name] = scripts.get(name, 0) + 1
    if not scripts:
        return None
    most = max(scripts, key=lambda name: scripts[name])
    names = {"CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}
    return None if most in ("LATIN", "UNKNOWN") else names.get(most, most.capitalize())


def _is_foreign(text: str) -> bool:
    """Whether a text in Latin letters is hardly English: by its small words."""
    words = set(_WORD.findall(text.casefold()))
    if len(words) < 2 or _ENGLISH.intersection(words):
        return False
    return bool(_FOREIGN.intersection(words)) or len(_PERHAPS.intersection(words)) > 1


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} or {items[-1]}"
