"""`Plot`: a projection in the coordinates of a picture on the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from unisem.evaluation.projection import Projection

SIDE = 400
"""Width and height of the drawing."""
_MARGIN = 14
_LINES = 60  # pairs that are joined by a line; all of them would be a thicket


@dataclass(frozen=True, slots=True)
class Point:
    """A picture or a caption on the drawing, with a caption to name it."""

    x: float
    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Points and lines within a square of `SIDE`.

    Attributes:
        images: A point per picture.
        texts: A point per caption, in the same order.
        joined: Pairs of points that belong together.
        explained: Percent of the variance along each axis.
    """

    images: tuple[Point, ...]
    texts: tuple[Point, ...]
    joined: tuple[tuple[Point, Point], ...]
    explained: tuple[str, str]

    @classmethod
    def of(cls, projection: Projection, labels: tuple[str, ...]) -> Self:
        """Scale a projection, both axes alike, so that distances can be compared.

        Args:
            projection: What to draw.
            labels: Names of its points, ready to be shown.
        """
        both = np.concatenate([projection.images, projection.texts])
        low, high = both.min(axis=0), both.max(axis=0)
        scale = (SIDE - 2 * _MARGIN) / max(float((high - low).max()), 1e-9)
        placed = SIDE / 2 + (both - (low + high) / 2) * scale * np.array([1, -1])
        points = [
            Point(round(float(x), 1), round(float(y), 1), label)
            for (x, y), label in zip(placed, labels * 2, strict=True)
        ]
        images, texts = tuple(points[: len(labels)]), tuple(points[len(labels) :])
        step = max(1, -(-len(labels) // _LINES))
        return cls(
            images,
            texts,
            tuple(zip(images[::step], texts[::step], strict=True)),
            (f"{100 * projection.explained[0]:.0f} %", f"{100 * projection.explained[1]:.0f} %"),
        )
