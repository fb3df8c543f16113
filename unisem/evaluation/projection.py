"""`Projection`: a plane on which the space can be looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unisem.records import Vector


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
