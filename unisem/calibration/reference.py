"""`Reference`: what vectors of one kind look like, by their mean and some examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from unisem.records import Vector

_NOTHING = 1e-9  # the length of a vector that has no direction


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The mean of one kind of vectors, and a bank of examples.

    Attributes:
        mean: ``(d,)`` float32; shrunk towards zero as far as the sample leaves it uncertain.
        bank: ``(m, d)`` float32 unit rows, drawn from the sample, rounded to half precision as
            they are saved.
        count: How many vectors the mean was taken over.
    """

    mean: Vector
    bank: Vector
    count: int

    @classmethod
    def of(cls, rows: Vector, *, size: int, rng: np.random.Generator) -> Self:
        """Measure a sample.

        Args:
            rows: ``(n, d)`` float32 unit rows.
            size: The most examples to keep.
            rng: Draws them.
        """
        drawn = np.sort(rng.permutation(len(rows))[:size])
        bank = rows[drawn].astype(np.float16).astype(np.float32)
        return cls(shrunken_mean(rows), bank, len(rows))

    def centred(self, rows: Vector) -> Vector:
        """Vectors ``(n, d)`` seen from the mean, at length 1; zero where nothing is left."""
        return scaled(rows - self.mean)


def shrunken_mean(rows: Vector) -> Vector:
    """The mean of ``(n, d)`` rows, times what of its length is not chance.

    The expected square of the error of a mean is the rows' variance over their number; that part
    of its squared length is taken off (James and Stein 1961, positive part).
    """
    numbers = rows.astype(np.float64)
    mean = numbers.mean(axis=0)
    chance = ((numbers - mean) ** 2).sum() / max(len(rows) - 1, 1) / len(rows)
    kept = max(0.0, 1 - chance / max(float(mean @ mean), _NOTHING))
    found: Vector = (kept * mean).astype(np.float32)
    return found


def scaled(rows: Vector) -> Vector:
    """Rows ``(n, d)`` at length 1; those that have none stay zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Vector = np.where(lengths > _NOTHING, rows / np.maximum(lengths, _NOTHING), 0)
    return unit.astype(np.float32, copy=False)
