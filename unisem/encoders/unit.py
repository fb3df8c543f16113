"""`unit_rows`: what an encoder gives, as unit vectors; what has no direction is an error."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from unisem.errors import EncoderError
from unisem.records import Vector

_ROUNDING = 1e-6


def unit_rows(raw: ArrayLike, name: str, *, remedy: str = "") -> Vector:
    """Scale an encoder's vectors to unit length.

    Args:
        raw: ``(n, d)`` numbers.
        name: What the encoder is called.
        remedy: What to do about a vector without direction, as words that end the sentence.

    Returns:
        ``(n, d)`` float32.

    Raises:
        EncoderError: A vector is zero, or has a number that is infinite or none.
    """
    vectors = np.asarray(raw, dtype=np.float32)
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not np.isfinite(norms).all() or not norms.all():
        raise EncoderError(f"the encoder {name!r} gave a vector that is zero or not finite{remedy}")
    done = np.abs(norms - 1) < _ROUNDING  # to the bit what it was
    unit: Vector = np.where(done, vectors, vectors / norms).astype(np.float32)
    return unit
