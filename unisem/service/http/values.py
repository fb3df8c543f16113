"""`ValueCount`: how many values a JSON text has, known before it is parsed."""

from __future__ import annotations

import re

_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_MARKS = (b",", b"[", b"{")


class ValueCount:
    """Counts values as a text arrives, piece by piece; never too few.

    A parser holds Python's lock from the first byte to the last, whatever thread it runs in, and
    its time goes by values, not by bytes: a picture is one, however large. So they are counted
    first, in pieces that cost nothing.
    """

    def __init__(self) -> None:
        self.count = 1
        self._is_inside = False  # a string
        self._is_escaped = False

    def take(self, piece: bytes) -> int:
        """How many values there are so far, with those of the next piece."""
        if not piece:
            return self.count
        if b"\0" in piece:  # UTF-16 or UTF-32, in which a quote may be a part of a letter
            self.count += sum(map(piece.count, _MARKS))
            return self.count
        if self._is_escaped:
            piece = piece[1:]
        plain = _ESCAPED.sub(b"", piece) if b"\\" in piece else piece
        self._is_escaped = plain.endswith(b"\\")
        parts = plain.split(b'"')
        outside = b'"'.join(parts[self._is_inside :: 2])
        self._is_inside ^= len(parts) % 2 == 0
        self.count += sum(map(outside.count, _MARKS))
        return self.count
