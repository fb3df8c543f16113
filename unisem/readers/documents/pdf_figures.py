"""`shapes_of`: where on a PDF's page something is drawn, bitmaps and drawings alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unisem.images.region import Box, around
from unisem.readers.documents.pdf_text import Line, shown_by

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

MOST_OBJECTS = 50_000
"""Objects of a page that are looked at; a drawing that has more is found by its first ones."""

_CELL = 3.0  # points; what is nearer to each other than about two cells is one drawing
_LARGEST_GRID = 2000  # cells a side
_THIN = 2.0  # points; what is thinner is a rule
_SMALLEST = 24.0  # points a side of a figure
_BACKGROUND = 0.85  # of the page
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


def shapes_of(page: PdfPage) -> list[Shape]:
    """What is drawn on a page, touching parts as one, from top to bottom.

    Forms (a figure that was included as a PDF) count as a whole. A background is left out.
    """
    from pypdfium2 import raw

    width, height = page.get_size()
    shown = shown_by(page)
    boxes: list[Box] = []
    kinds: list[str] = []
    for number, item in enumerate(page.get_objects(max_depth=1)):
        if number >= MOST_OBJECTS:
            break
        if item.type not in (
            raw.FPDF_PAGEOBJ_IMAGE,
            raw.FPDF_PAGEOBJ_PATH,
            raw.FPDF_PAGEOBJ_FORM,
            raw.FPDF_PAGEOBJ_SHADING,
        ):
            continue
        left, top, right, bottom = shown(*item.get_bounds())
        left, top, right, bottom = (
            max(left, 0.0),
            max(top, 0.0),
            min(right, width),
            min(bottom, height),
        )
        if right < left or bottom < top:
            continue
        is_image = item.type == raw.FPDF_PAGEOBJ_IMAGE
        if not is_image and (right - left) * (bottom - top) > _BACKGROUND * width * height:
            continue
        boxes.append((left, top, right, bottom))
        if is_image:
            kinds.append("image")
        elif min(right - left, bottom - top) < _THIN:
            kinds.append("rule")
        else:
            kinds.append("form" if item.type == raw.FPDF_PAGEOBJ_FORM else "drawing")
    return _joined(boxes, kinds, width, height)


def _joined(boxes: Sequence[Box], kinds: Sequence[str], width: float, height: float) -> list[Shape]:
    """Boxes that touch, found by painting them and looking for connected areas."""
    if not boxes:
        return []
    from scipy.ndimage import label

    cell = max(_CELL, max(width, height) / _LARGEST_GRID)
    painted = np.zeros((int(height / cell) + 2, int(width / cell) + 2), bool)
    spans = [_span(box, cell) for box in boxes]
    for rows, columns in spans:
        painted[rows, columns] = True
    areas, _ = label(painted, structure=np.ones((3, 3), int))
    shapes: dict[int, Shape] = {}
    for box, kind, (rows, columns) in zip(boxes, kinds, spans, strict=True):
        number = int(areas[rows.start, columns.start])
        shape = shapes.setdefault(number, Shape(box))
        shape.box = around(shape.box, box)
        shape.images += kind == "image"
        shape.forms += kind == "form"
        shape.drawings += kind == "drawing"
        shape.rules += kind == "rule"
    return sorted(shapes.values(), key=lambda shape: (shape.box[1], shape.box[0]))


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
