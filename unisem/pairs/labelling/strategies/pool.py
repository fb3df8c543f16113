"""`Pool`: the pictures that may be asked about, as encoders see them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisem.errors import VectorError
from unisem.records import Vector

TEMPERATURE = 0.05
"""Of the softmax that makes beliefs of cosines; InfoNCE's, by which heads are trained."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What one encoder makes of the pictures and of the tags that they may have.

    Attributes:
        images: ``(n, d)`` float32 unit vectors of the pictures.
        tags: ``(t, d)`` float32 unit vectors of the tags; none is ``(0, d)``.
    """

    images: Vector
    tags: Vector

    def __post_init__(self) -> None:
        if self.images.ndim != 2 or self.images.shape[1:] != self.tags.shape[1:]:
            raise VectorError(
                f"pictures of shape {self.images.shape} and tags of shape {self.tags.shape} are "
                "not of one space"
            )

    @property
    def beliefs(self) -> NDArray[np.float64]:
        """``(n, t)``: how likely each tag is for each picture, rows of sum 1."""
        return beliefs_of(self.images, self.tags)


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The pictures that may be asked about, and those that have captions already.

    Attributes:
        head: The encoder that goes on being trained.
        labelled: ``(m, d)`` unit vectors, by that encoder, of pictures that have captions.
        others: What other encoders, such as the one before training, make of the same pictures
            and tags; for strategies that look where encoders disagree.
    """

    head: Head
    labelled: Vector
    others: tuple[Head, ...] = ()

    def __len__(self) -> int:
        return len(self.head.images)


def beliefs_of(images: Vector, tags: Vector) -> NDArray[np.float64]:
    """Softmax of cosines over tags.

    Args:
        images: ``(n, d)`` unit vectors.
        tags: ``(t, d)`` unit vectors.

    Returns:
        ``(n, t)`` float64, rows of sum 1.
    """
    logits = (images @ tags.T).astype(np.float64) / TEMPERATURE
    if not logits.size:
        return logits
    powers: NDArray[np.float64] = np.exp(logits - logits.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers
