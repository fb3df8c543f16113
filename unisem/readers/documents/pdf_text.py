"""`in_reading_order`: the order in which a person reads the lines of a page."""

from __future__ import annotations

from collections.abc import Sequence

from unisem.pdfium.page_text import Line

MOST_ARRANGED = 2_000
"""Lines of a page that may stand in columns; one with more (a map) is read from top to bottom."""

_TRIED = 100  # gaps between rows
_GUTTER = 9.0  # points of white between two columns


def in_reading_order(lines: Sequence[Line]) -> list[Line]:
    """Order lines as a person reads them: columns from left to right, each from top to bottom.

    The page is cut recursively at white space (XY cut, Nagy and Seth 1984): at a gutter that goes
    through all of it, else at the widest gap between two rows after which a part has a gutter.
    A page of more than `MOST_ARRANGED` lines is not cut.
    """
    return _cut(list(lines), 0) if len(lines) <= MOST_ARRANGED else _rows(list(lines))


def _cut(lines: list[Line], depth: int) -> list[Line]:
    if len(lines) < 2 or depth > 40:
        return sorted(lines, key=lambda line: (line.box[1], line.box[0]))
    if (gutter := _gap(lines, 0, _GUTTER)) is not None:
        left = [line for line in lines if line.box[2] <= gutter]
        right = [line for line in lines if line.box[2] > gutter]
        if _is_column(left) and _is_column(right):
            return _cut(left, depth + 1) + _cut(right, depth + 1)
    for row in _gaps(lines, 1, 0.5)[:_TRIED]:
        above = [line for line in lines if line.box[3] <= row]
        below = [line for line in lines if line.box[3] > row]
        if _has_columns(above) or _has_columns(below):
            return _cut(above, depth + 1) + _cut(below, depth + 1)
    return _rows(lines)


def _rows(lines: list[Line]) -> list[Line]:
    """Lines from top to bottom, those at one height from left to right."""
    ordered: list[Line] = []
    row: list[Line] = []
    for line in sorted(lines, key=lambda line: line.box[1]):
        if row and line.box[1] - row[0].box[1] > 0.5 * min(line.height, row[0].height):
            ordered += sorted(row, key=lambda line: line.box[0])
            row = []
        row.append(line)
    return ordered + sorted(row, key=lambda line: line.box[0])


def _is_column(lines: Sequence[Line]) -> bool:
    """Whether lines are more than the numbers or bullets of a list beside them."""
    width = max((line.box[2] for line in lines), default=0.0) - min(
        (line.box[0] for line in lines), default=0.0
    )
    return len(lines) > 2 and width > 60 and sum(len(line.text) for line in lines) > 40


def _has_columns(lines: list[Line]) -> bool:
    gutter = _gap(lines, 0, _GUTTER)
    if gutter is None:
        return False
    left = [line for line in lines if line.box[2] <= gutter]
    return _is_column(left) and _is_column([line for line in lines if line.box[2] > gutter])


def _gap(lines: Sequence[Line], axis: int, least: float) -> float | None:
    return next(iter(_gaps(lines, axis, least)), None)


def _gaps(lines: Sequence[Line], axis: int, least: float) -> list[float]:
    """Where no line is: the middles of the gaps along an axis, the widest first."""
    found: list[tuple[float, float]] = []
    reach: float | None = None
    for start, end in sorted((line.box[axis], line.box[axis + 2]) for line in lines):
        if reach is not None and start - reach >= least:
            found.append((start - reach, (start + reach) / 2))
        reach = end if reach is None else max(reach, end)
    return [middle for _, middle in sorted(found, reverse=True)]
