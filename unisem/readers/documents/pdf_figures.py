"""`shapes_of`: where on a PDF's page something is drawn, bitmaps and drawings alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest

import numpy as np
from numpy.typing import NDArray

from unisem.common.box import Box, around
from unisem.pdfium.page_drawings import Drawn
from unisem.pdfium.page_text import Line

MOST_SHAPES = 200
"""Shapes of a page that are looked at."""

_CELL = 3.0  # points; what is nearer to each other than about two cells is one drawing
_LARGEST_GRID = 2000  # cells a side
_SMALLEST = 24.0  # points a side of a figure
_WORDY = 0.3  # of a drawing's area; one with more text is a frame around a passage
_WORDIER = 0.45  # of a drawing's that was made elsewhere
_GRID = 8  # rules, and nothing else, that a table is made of whatever is in it
_FEW = 6  # drawn lines that a frame, an underline or an ornament is made of at most


@dataclass(slots=True)
class Shape:
    """Something that is drawn, apart from everything else.

    Attributes:
        box: Where.
        images: Bitmaps in it.
        forms: Drawings in it that were made elsewhere and included as a whole.
        drawings: Paths in it that are no rules.
        rules: Thin lines in it.
    """

    box: Box
    images: int = 0
    forms: int = 0
    drawings: int = 0
    rules: int = 0


def shapes_of(drawn: Sequence[Drawn], width: float, height: float) -> list[Shape]:
    """What is drawn on a page, touching parts as one, the largest, from top to bottom.

    The parts are painted on a grid, and connected areas looked for.

    Args:
        drawn: Objects of a page.
        width: Of the page, in points.
        height: Of the page, in points.
    """
    if not drawn:
        return []
    from scipy.ndimage import label

    cell = max(_CELL, max(width, height) / _LARGEST_GRID)
    painted = np.zeros((int(height / cell) + 2, int(width / cell) + 2), bool)
    spans = [_span(one.box, cell) for one in drawn]
    for rows, columns in spans:
        painted[rows, columns] = True
    areas, _ = label(painted, structure=np.ones((3, 3), int))
    shapes: dict[int, Shape] = {}
    for one, (rows, columns) in zip(drawn, spans, strict=True):
        number = int(areas[rows.start, columns.start])
        shape = shapes.setdefault(number, Shape(one.box))
        shape.box = around(shape.box, one.box)
        shape.images += one.kind == "image"
        shape.forms += one.kind == "form"
        shape.drawings += one.kind == "drawing"
        shape.rules += one.kind == "rule"
    largest = nlargest(MOST_SHAPES, shapes.values(), key=_area)
    return sorted(largest, key=lambda shape: (shape.box[1], shape.box[0]))


def _area(shape: Shape) -> float:
    left, top, right, bottom = shape.box
    return (right - left) * (bottom - top)


def _span(box: Box, cell: float) -> tuple[slice, slice]:
    left, top, right, bottom = (int(side / cell) for side in box)
    return slice(top, bottom + 1), slice(left, right + 1)


def is_figure(shape: Shape, inside: Sequence[Line]) -> bool:
    """Whether a shape is a picture, and no rule, table, ornament or frame around words.

    Args:
        shape: What is drawn.
        inside: The lines of text in it.
    """
    left, top, right, bottom = shape.box
    if min(right - left, bottom - top) < _SMALLEST:
        return False
    words = sum((line.box[2] - line.box[0]) * line.height for line in inside)
    share = words / ((right - left) * (bottom - top))
    if shape.forms:  # which bring their own words
        return share < _WORDIER
    wordy = share > _WORDY
    if shape.images:
        return not wordy
    if is_table(shape, inside):
        return False
    return shape.drawings + shape.rules > (10 * _FEW if wordy else _FEW) or (
        shape.drawings > 0 and not wordy and len(inside) < 3
    )


def is_table(shape: Shape, inside: Sequence[Line]) -> bool:
    """Whether a shape is the rules, or the cells, of a table."""
    if shape.images or shape.forms or len(inside) < 4 or shape.drawings + shape.rules < 3:
        return False
    places = np.array([line.box[:2] for line in inside])
    rows, columns = _clusters(places[:, 1], 4.0), _clusters(places[:, 0], 8.0)
    if rows < 2 or columns < 2 or shape.rules < shape.drawings:
        return False
    return columns <= max(len(inside) // 2, 2) or (not shape.drawings and shape.rules > _GRID)


def _clusters(places: NDArray[np.float64], apart: float) -> int:
    return int((np.diff(np.sort(places)) > apart).sum()) + 1
