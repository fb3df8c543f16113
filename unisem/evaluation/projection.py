"""`Projection`: a plane on which the space can be looked at; `Plot`: that plane on a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from unisem.records import Vector

SIDE = 400
"""Width and height of the drawing."""
_MARGIN = 14
_LINES = 60  # pairs that are joined by a line; all of them would be a thicket


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """The two directions in which pictures and captions differ most (PCA).

    Picture ``i`` and caption ``i`` belong together. Axes have a fixed sign: pictures lie to the
    right of captions, and above them.

    Attributes:
        images: ``(n, 2)`` float64 coordinates of pictures.
        texts: ``(n, 2)`` float64 coordinates of captions.
        explained: Share of the variance along each axis.
        labels: A caption for each point.
    """

    images: NDArray[np.float64] = field(repr=False)
    texts: NDArray[np.float64] = field(repr=False)
    explained: tuple[float, float]
    labels: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, images: Vector, texts: Vector, labels: tuple[str, ...]) -> Projection:
        """Project pairs.

        Args:
            images: ``(n, d)`` vectors of pictures.
            texts: ``(n, d)`` vectors of their captions.
            labels: Their captions.
        """
        rows = np.concatenate([images, texts]).astype(np.float64)
        rows -= rows.mean(axis=0)
        _, sizes, axes = np.linalg.svd(rows, full_matrices=False)
        axes = axes[:2]
        if len(axes) < 2:
            axes = np.vstack([axes, np.zeros_like(axes)])
        flat = rows @ axes.T  # (2n, 2)
        flat *= np.where(flat[: len(images)].mean(axis=0) < 0, -1.0, 1.0)
        shares = np.append(sizes**2, 0.0)[:2] / max(float((sizes**2).sum()), 1e-12)
        return cls(
            flat[: len(images)], flat[len(images) :], (float(shares[0]), float(shares[1])), labels
        )


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
    def of(cls, projection: Projection) -> Self:
        """Scale a projection, both axes alike, so that distances can be compared."""
        labels = projection.labels
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
