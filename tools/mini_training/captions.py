"""What a picture may be called: eight texts for each caption, name or class.

A head that sees a picture under one text only learns that text's wording. Every training picture
has `VARIANTS` texts, the first of which is the one that retrieval is measured with.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np

VARIANTS = 8
_JUNK = re.compile(r"hash|0x|^unsorted$|appicon|networksym|_symbol$")


def of_clip_art(caption: str) -> list[str]:
    """Texts of an Open Clip Art caption, "Title. keyword, keyword".

    The caption twice (it is what users of the library search), without numbers and file-name
    remains, the title alone, the keywords alone, and with random halves of the keywords.
    """
    title, keywords = split_caption(caption)
    clean = clean_title(title)
    drawing = f"a drawing of a {clean}".lower()
    if not keywords:
        return [caption, caption, clean, drawing, clean, clean, clean, clean]
    random = np.random.default_rng(zlib.crc32(caption.encode()))
    texts = [caption, caption, f"{clean}. {', '.join(keywords)}", clean, drawing]
    texts.append(", ".join(keywords))
    for _ in range(2):
        kept = [word for word in keywords if random.random() < 0.6] or keywords[:1]
        random.shuffle(kept)
        texts.append(f"{clean}. {', '.join(kept)}")
    return texts


def of_emoji(name: str, keywords: Sequence[str]) -> list[str]:
    """Texts of a named emoji, with the keywords that CLDR gives it, if any."""
    drawing, photo = f"a drawing of a {name}", f"a photo of a {name}"
    others = [word for word in keywords if word != name]
    if not others:
        return [name, name, name, name, name, drawing, drawing, photo]
    random = np.random.default_rng(zlib.crc32(name.encode()))
    kept = [word for word in others if random.random() < 0.5] or others[:1]
    random.shuffle(kept)
    listed = ", ".join(others[:6])
    full = f"{name}. {listed}"
    return [full, full, name, name, drawing, listed, f"{name}. {', '.join(kept[:5])}", photo]


def of_flag(name: str, kinds: Sequence[str]) -> list[str]:
    """Texts of a flag.

    Args:
        name: Whose it is: ``"Kenya"``.
        kinds: Where that lies, nearest first: ``["Eastern Africa", "Africa"]``.
    """
    listed = ", ".join(kinds)
    return [
        f"{name}. flag, {listed}",
        f"{name}. {listed}, flag",
        f"flag of {name}",
        f"the flag of {name}",
        f"{name} flag",
        f"{kinds[0]} - {name}. flag, sign",
        name,
        f"{name}. country, flag",
    ]


def split_caption(caption: str) -> tuple[str, list[str]]:
    """Title and keywords, without the keywords that are remains of the library's tools."""
    title, _, keywords = caption.rpartition(". ")
    if not title:
        return caption, []
    words = [word.strip() for word in keywords.split(",")]
    return title, [word for word in words if word and not _JUNK.search(word)]


def clean_title(title: str) -> str:
    """A title without "Clipart by …", version numbers, underscores and file suffixes."""
    text = re.sub(r"^Clip[aA]rt by [^-]*- ?", "", title)
    text = re.sub(r"[_#]+", " ", text)
    text = re.sub(r"\.(svg|png)$", "", text)
    text = re.sub(r"\b[vV]?\d+(\.\d+)*\b", "", text)
    text = re.sub(r"([a-zA-Z])\d+\b", r"\1", text)
    return re.sub(r"\s+", " ", text).strip(" -.,") or title
