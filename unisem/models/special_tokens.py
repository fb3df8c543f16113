"""`special_tokens`: names in a text that a model would read as commands of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any


def special_tokens(model: Any) -> tuple[str, ...]:
    """The names of a model's special tokens, such as ``[SEP]`` and ``<image>``, longest first.

    A tokenizer makes the token of such a name wherever it stands: ``<|endoftext|>`` ends a text for
    CLIP, and for ``<image>`` a vision model looks for a picture.

    Some vocabularies declare plain words or signs special; those are left to the texts.

    Args:
        model: A ``SentenceTransformer`` or ``CrossEncoder``.
    """
    known: set[Any] = set()
    for module in model.modules():
        tokenizer, processor = (
            getattr(module, "tokenizer", None),
            getattr(module, "processor", None),
        )
        known |= set(getattr(tokenizer, "all_special_tokens", ()))
        known |= {
            str(token)
            for token in getattr(tokenizer, "added_tokens_decoder", {}).values()
            if getattr(token, "special", False)
        }
        known |= {getattr(processor, f"{kind}_token", None) for kind in ("image", "video", "audio")}
    names = {
        name for name in known if isinstance(name, str) and re.fullmatch(r"[<\[].+[>\]]", name)
    }
    return tuple(sorted(names, key=lambda name: (-len(name), name)))


def matching(names: Sequence[str]) -> re.Pattern[str]:
    """Matches the first of these names that stands in a text, in letters of any size."""
    return re.compile("|".join(map(re.escape, names)) or r"(?!)", re.IGNORECASE)


def spelled_out(text: str, special: re.Pattern[str]) -> str:
    """A text whose special tokens' names are words again, by a space behind the bracket.

    >>> spelled_out("a <mask> b", re.compile("<mask>"))
    'a < mask> b'
    """
    return special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
