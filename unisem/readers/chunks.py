"""Cutting a text into passages that an encoder can take in whole."""

from __future__ import annotations

import re

_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s*(?=\S)")


def chunk_text(text: str, size: int = 1000) -> list[str]:
    r"""Cut a text into passages of at most ``size`` characters, at the largest seams that fit.

    Paragraphs stay together while they fit; a longer one is cut between sentences, a longer
    sentence between words, a longer word anywhere. Nothing but white space is lost.

    >>> chunk_text("One. Two.\n\nThree.", size=12)
    ['One. Two.', 'Three.']
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, not {size}")
    chunks: list[str] = []
    for paragraph in _PARAGRAPH.split(text):
        pieces = _fitting(paragraph.strip(), size)
        # A paragraph joins the one before it only as a whole.
        if chunks and len(pieces) == 1 and len(chunks[-1]) + 2 + len(pieces[0]) <= size:
            chunks[-1] += "\n\n" + pieces[0]
        else:
            chunks += pieces
    return chunks


def _fitting(paragraph: str, size: int) -> list[str]:
    if len(paragraph) <= size:
        return [paragraph] if paragraph else []
    pieces: list[str] = []
    for sentence in _SENTENCE.split(paragraph):
        for word in [sentence] if len(sentence) <= size else sentence.split():
            for part in (word[start : start + size] for start in range(0, len(word), size)):
                if pieces and len(pieces[-1]) + 1 + len(part) <= size:
                    pieces[-1] += " " + part
                else:
                    pieces.append(part)
    return pieces
