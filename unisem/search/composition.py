"""Composed queries: one vector of a text's and a picture's, or of several such."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unisem.records import Vector
from unisem.stores.vectors import unit

_WHAT = "the query's vector"


def composed(text: Vector | None, image: Vector | None, text_weight: float) -> Vector:
    """Average a text's and a picture's vector by weight, each of them at length 1.

    Args:
        text: ``(d,)``, or ``None``.
        image: ``(d,)``, or ``None``; one of the two is there.
        text_weight: The text's share, from 0 to 1, if both are.

    Returns:
        ``(d,)`` float32, of length 1.

    Raises:
        VectorError: A vector is zero or not finite, or they cancel each other out.
    """
    parts = [unit(vector, _WHAT) for vector in (text, image) if vector is not None]
    if len(parts) == 1:
        return parts[0]
    return unit(text_weight * parts[0] + (1 - text_weight) * parts[1], _WHAT)


def mean_of(vectors: Sequence[Vector]) -> Vector:
    """Average the vectors of several queries that ask for one thing.

    Args:
        vectors: ``(d,)`` unit vectors.

    Returns:
        ``(d,)`` float32, of length 1.

    Raises:
        VectorError: They cancel each other out.
    """
    return unit(np.mean(vectors, axis=0), _WHAT)
