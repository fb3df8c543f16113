"""`bootstrap_interval`: how far a mean over queries can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_DRAWN_AT_ONCE = 2_000_000  # numbers; 16 MB


def bootstrap_interval(
    values: Floats,
    *,
    groups: Sequence[int] | NDArray[np.int64] | None = None,
    confidence: float = 0.95,
    rounds: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean over queries (Efron 1979).

    For two systems pass the differences query by query: that is the paired bootstrap.

    Args:
        values: ``(queries,)`` of a measure.
        groups: ``(queries,)`` numbers; queries of one group (five captions of one picture) are
            drawn together, since they succeed and fail together. Each is its own if ``None``.
        confidence: Coverage, between 0 and 1.
        rounds: Resamples.
        seed: Makes the interval reproducible.

    Raises:
        ValueError: No values, another number of groups, or a confidence outside 0 to 1.

    >>> low, high = bootstrap_interval(np.array([0.0, 1.0] * 50))
    >>> 0.35 < low < 0.45 and 0.55 < high < 0.65
    True
    """
    column = np.asarray(values, np.float64)[:, None]
    intervals = bootstrap_intervals(
        column, groups=groups, confidence=confidence, rounds=rounds, seed=seed
    )
    return float(intervals[0, 0]), float(intervals[0, 1])


def bootstrap_intervals(
    values: Floats,
    *,
    groups: Sequence[int] | NDArray[np.int64] | None = None,
    confidence: float = 0.95,
    rounds: int = 10_000,
    seed: int = 0,
) -> Floats:
    """Intervals of the means of several measures of the same queries, from the same resamples.

    Args:
        values: ``(queries, measures)``.
        groups: As in `bootstrap_interval`.
        confidence: As in `bootstrap_interval`.
        rounds: As in `bootstrap_interval`.
        seed: As in `bootstrap_interval`.

    Returns:
        ``(measures, 2)``, low and high.

    Raises:
        ValueError: As `bootstrap_interval`.
    """
    if not len(values):
        raise ValueError("an interval needs at least one query")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence!r}")
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, not {rounds!r}")
    if groups is not None and len(groups) != len(values):
        raise ValueError(f"{len(values)} queries but {len(groups)} groups")
    numbers = np.arange(len(values)) if groups is None else np.asarray(groups)
    _, group = np.unique(numbers, return_inverse=True)
    count = int(group.max()) + 1
    sums = np.zeros((count, values.shape[1] + 1))  # the last column counts a group's queries
    np.add.at(sums, group, np.column_stack([values, np.ones(len(values))]))
    rng = np.random.default_rng(seed)
    means = np.empty((rounds, values.shape[1]))
    step = max(1, _DRAWN_AT_ONCE // count)
    for start in range(0, rounds, step):
        size = min(step, rounds - start)
        drawn = rng.integers(0, count, (size, count)) + np.arange(size)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        totals = times.astype(np.float64) @ sums  # (size, measures + 1)
        means[start : start + size] = totals[:, :-1] / totals[:, -1:]
    tail = (1 - confidence) / 2
    bounds: Floats = np.quantile(means, [tail, 1 - tail], axis=0).T
    return bounds
