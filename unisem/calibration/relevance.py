"""`fitted_odds`: from standard scores and labels to the probability of relevance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unisem.calibration.scale import Floats

_ROUNDS = 50
_RIDGE = 1e-3  # keeps the odds finite where the labels are told apart without error
_FEWEST = 20  # of each label


def fitted_odds(scores: Floats, right: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Fit log-odds that are linear in the score, and never fall (Platt 1999, with his targets).

    Args:
        scores: ``(n,)`` standard scores.
        right: ``(n,)`` whether what had that score was relevant.

    Returns:
        Slope and intercept; ``None`` where there are too few of either label.
    """
    yes, no = int(right.sum()), int((~right).sum())
    if min(yes, no) < _FEWEST:
        return None
    target = np.where(right, (yes + 1) / (yes + 2), 1 / (no + 2))
    design = np.column_stack([scores, np.ones(len(scores))])
    weights = np.array([0.0, np.log((yes + 1) / (no + 1))])
    for _ in range(_ROUNDS):  # Newton
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -50, 50)))
        gradient = design.T @ (chance - target) + _RIDGE * weights
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + _RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-9:
            break
    if weights[0] < 0:
        return 0.0, float(np.log((yes + 1) / (no + 1)))
    return float(weights[0]), float(weights[1])
