"""`Scale`: scores of one query and one kind of vectors, brought to what all kinds share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEAST = 1e-6
"""Spread of scores that do not differ."""
_STEEPEST = 50.0  # log-odds beyond which nothing changes any more


@dataclass(frozen=True, slots=True)
class Scale:
    """A rising map of scores, and the probability that goes with them.

    Attributes:
        middle: The score that becomes 0.
        spread: The difference of scores that becomes 1; above 0.
        slope: Log-odds of relevance per standard score, not below 0; ``None`` if not known.
        intercept: Log-odds of relevance at standard score 0.
    """

    middle: float = 0.0
    spread: float = 1.0
    slope: float | None = None
    intercept: float = 0.0

    def comparable(self, scores: NDArray[Any]) -> Floats:
        """``(n,)`` standard scores: higher is better, and alike for all kinds of vectors."""
        return (np.asarray(scores, np.float64) - self.middle) / self.spread

    def relevance(self, scores: NDArray[Any]) -> Floats | None:
        """``(n,)`` probabilities that a hit of such a score is relevant; ``None`` if not known."""
        if self.slope is None:
            return None
        odds = self.slope * self.comparable(scores) + self.intercept
        found: Floats = 1 / (1 + np.exp(-np.clip(odds, -_STEEPEST, _STEEPEST)))
        return found
