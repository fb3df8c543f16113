"""What a recogniser read, as lines of a page: turned upright, and in the order that people read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median

from unisem.pdfium.page_text import Line
from unisem.readers.documents.pdf_text import in_reading_order
from unisem.recognition.line import TextLine

_TYPE = 0.7  # of a line's height, is the size of its type
_USUAL = 10.0  # points, of text
_ALIKE = 0.25  # by which sizes of one type differ, as they are read


def reading_lines(lines: Sequence[TextLine], scale: float | None = None) -> list[Line]:
    """Order lines as a person reads them.

    Args:
        lines: What was read in a picture.
        scale: Points a pixel; as of usual type if ``None``.

    Returns:
        Lines; boxes in points of the picture turned upright and straight, as most of its words
        stand.
    """
    if not lines:
        return []
    turns = Counter[int]()
    for line in lines:
        turns[line.turn] += len(line.text)
    turn = turns.most_common(1)[0][0]
    usual = median(line.sides[1] for line in lines)
    points = _USUAL / (_TYPE * max(usual, 1.0)) if scale is None else scale
    lean = math.radians(median(line.lean for line in lines))
    places = [_upright(line, turn) for line in lines]
    middle = [sum(side) / len(places) for side in zip(*places, strict=True)]
    found = []
    for line, (x, y) in zip(lines, places, strict=True):
        x, y = x - middle[0], y - middle[1]
        x, y = x * math.cos(lean) + y * math.sin(lean), y * math.cos(lean) - x * math.sin(lean)
        x, y = x + middle[0], y + middle[1]
        width, height = line.sides
        box = x - width / 2, y - height / 2, x + width / 2, y + height / 2
        like = usual if abs(height - usual) < _ALIKE * usual else height
        left, top, right, bottom = (side * points for side in box)
        size = round(_TYPE * like * points, 1)
        found.append(Line(line.text, (left, top, right, bottom), size))
    return in_reading_order(found)


def _upright(line: TextLine, turn: int) -> tuple[float, float]:
    """The middle of a line in the picture turned back."""
    left, top, right, bottom = line.box
    x, y = (left + right) / 2, (top + bottom) / 2
    return {0: (x, y), 90: (y, -x), 180: (-x, -y), 270: (-y, x)}[turn]
