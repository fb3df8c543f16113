"""`Box`: a part of a page; and `around`."""

from __future__ import annotations

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in points (1/72 inch), from the top left corner of the page as shown."""


def around(first: Box, second: Box) -> Box:
    """The smallest box that holds both."""
    return (
        min(first[0], second[0]),
        min(first[1], second[1]),
        max(first[2], second[2]),
        max(first[3], second[3]),
    )
