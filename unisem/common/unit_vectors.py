"""`unit_rows`: vectors of unit length; what has no direction is an error."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unisem.errors import UniSemError

_ROUNDING = 1e-6  # how far float32 arithmetic takes a unit vector's length from 1


def unit_rows(
    values: ArrayLike, what: str, failure: type[UniSemError], remedy: str = ""
) -> NDArray[np.float32]:
    """Scale vectors to length 1; those of that length are kept to the last bit.

    Args:
        values: ``(d,)`` or ``(n, d)`` numbers.
        what: What to call one of them in an error.
        failure: The error to raise.
        remedy: What to do about it, as words that end the sentence.

    Returns:
        float32 of the same shape.

    Raises:
        UniSemError: A vector is zero, or has a number that is infinite or none; of the kind
            ``failure``.
    """
    vectors = np.asarray(values, np.float64)
    largest = np.abs(vectors).max(axis=-1, keepdims=True, initial=0.0)
    if not (np.isfinite(largest) & (largest > 0)).all():
        raise failure(f"{what} is zero or not finite{remedy}")
    scaled = vectors / largest  # so that no square overflows
    norms = np.linalg.norm(scaled, axis=-1, keepdims=True)
    done = np.abs(norms * largest - 1) <= _ROUNDING
    unit: NDArray[np.float32] = np.where(done, vectors, scaled / norms).astype(np.float32)
    return unit
