"""`Odds`: from scores and labels to the probability of relevance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from unisem.calibration.scale import Floats

_ROUNDS = 50
_RIDGE = 1e-3  # keeps the odds finite where the labels are told apart without error
_FEWEST = 20  # of each label


@dataclass(frozen=True, slots=True)
class Odds:
    """Log-odds of relevance that are linear in the score.

    Attributes:
        slope: Per unit of the score, not below 0.
        intercept: At score 0, where nothing is near.
        nearness: Per unit of how near the query is to what there is; see `PairChoice`.
    """

    slope: float
    intercept: float
    nearness: float = 0.0

    @classmethod
    def fitted(
        cls, scores: Floats, right: NDArray[np.bool_], near: Floats | None = None
    ) -> Self | None:
        """Fit them (Platt 1999, with his targets).

        Args:
            scores: ``(n,)`` scores.
            right: ``(n,)`` whether what had that score was relevant.
            near: ``(n,)`` how near its query was to what there is; left out of account if ``None``.

        Returns:
            ``None`` where there are too few of either label.
        """
        yes, no = int(right.sum()), int((~right).sum())
        if min(yes, no) < _FEWEST:
            return None
        target = np.where(right, (yes + 1) / (yes + 2), 1 / (no + 2))
        told = [scores] if near is None else [scores, near]
        design = np.column_stack([*told, np.ones(len(scores))])
        prior = float(np.log((yes + 1) / (no + 1)))
        weights = np.array([*(0.0 for _ in told), prior])
        for _ in range(_ROUNDS):  # Newton
            chance = 1 / (1 + np.exp(-np.clip(design @ weights, -50, 50)))
            gradient = design.T @ (chance - target) + _RIDGE * weights
            curvature = (design * (chance * (1 - chance))[:, None]).T @ design
            step = np.linalg.solve(curvature + _RIDGE * np.eye(len(weights)), gradient)
            weights = weights - step
            if np.abs(step).max() < 1e-9:
                break
        slope, *nearness, intercept = map(float, weights)
        if slope < 0:
            return cls(0.0, prior)
        return cls(slope, intercept, *nearness)
