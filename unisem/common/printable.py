"""`plain` and `shortened`: text of unknown origin, made fit for a terminal or a page."""

from __future__ import annotations

import re

# Escape sequences begin with a control character; the others, all twelve characters with Unicode's
# property Bidi_Control, change the order in which the rest of a line is shown.
_HARMFUL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_HALF_SURROGATE = re.compile(r"[\ud800-\udfff]")  # from file names that are not Unicode


def plain(text: str, *, lines: bool = False) -> str:
    r"""Make a text of unknown origin printable.

    Control characters (with them every terminal escape) and those that turn the reading direction
    go, white space becomes single spaces, half surrogates become ``U+FFFD``.

    Args:
        text: The text.
        lines: Keep the line breaks.

    >>> plain("red\x1b[31m  tiger\r\n")
    'red[31m tiger'
    >>> plain("one\n\ntwo \t three", lines=True)
    'one\n\ntwo three'
    """
    if lines:
        return "\n".join(plain(line) for line in text.splitlines()).strip()
    return _HALF_SURROGATE.sub("\ufffd", _HARMFUL.sub("", " ".join(text.split())))


def shortened(text: str, length: int = 140) -> str:
    """Cut a text after a word, at ``length`` characters at most, and say so with ``…``."""
    if len(text) <= length:
        return text
    head, space, _ = text[:length].rpartition(" ")
    return (head if space else text[: length - 1]).rstrip(" ,;:.") + "…"
