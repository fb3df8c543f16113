"""What a recogniser read, as lines of a page: turned upright, and in the order that people read."""

from __future__ import annotations

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
        Lines; boxes in points of the picture turned upright, as most of its words stand.
    """
    if not lines:
        return []
    turns = Counter[int]()
    for line in lines:
        turns[line.turn] += len(line.text)
    turn = turns.most_common(1)[0][0]
    usual = median(line.height for line in lines)
    points = _USUAL / (_TYPE * max(usual, 1.0)) if scale is None else scale
    found = []
    for line in lines:
        like = usual if abs(line.height - usual) < _ALIKE * usual else line.height
        left, top, right, bottom = (side * points for side in line.box)
        match turn:
            case 90:
                box = top, -right, bottom, -left
            case 180:
                box = -right, -bottom, -left, -top
            case 270:
                box = -bottom, left, -top, right
            case _:
                box = left, top, right, bottom
        found.append(Line(line.text, box, round(_TYPE * like * points, 1)))
    return in_reading_order(found)
