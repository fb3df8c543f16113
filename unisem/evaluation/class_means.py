"""`mean_per_class`: the classes' accuracies, however many pictures each has, and their interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unisem.evaluation.answers import Answers
from unisem.evaluation.bootstrap import Floats
from unisem.evaluation.options import EvaluationOptions
from unisem.evaluation.report import Estimate

MEAN_PER_CLASS = "mean per class"
_DRAWN_AT_ONCE = 2_000_000  # numbers; 16 MB


def mean_per_class(found: Answers, options: EvaluationOptions) -> Estimate:
    """The mean of the classes' accuracies, with a percentile bootstrap interval over pictures.

    A picture that is of several classes counts for the one that was found first among them. A
    resample's mean is over the classes that it has pictures of.

    Args:
        found: Each query a picture, each candidate a class.
        options: Rounds, confidence and seed.
    """
    values = _resampled([found], options)
    return _estimate(values[:, 0], options)


def difference_per_class(ours: Answers, theirs: Answers, options: EvaluationOptions) -> Estimate:
    """Ours less theirs over the same pictures, each resample of both alike: paired."""
    values = _resampled([ours, theirs], options)
    return _estimate(values[:, 0] - values[:, 1], options)


def _estimate(values: Floats, options: EvaluationOptions) -> Estimate:
    tail = (1 - options.confidence) / 2
    low, high = np.quantile(values[1:], [tail, 1 - tail])
    return Estimate(float(values[0]), float(low), float(high))


def _resampled(found: Sequence[Answers], options: EvaluationOptions) -> Floats:
    """``(1 + rounds, encoders)`` means per class: of the pictures themselves, then of resamples.

    Pictures are drawn one by one, each a group of its own. What counts of one is the class that it
    is of and whether it was told, with each encoder; so how often each such case is drawn says all,
    and that is multinomial.
    """
    columns = [part for one in found for part in (one.wanted, _told(one))]
    of_pictures: NDArray[np.int64] = np.column_stack(columns).astype(np.int64)
    cases, counts = np.unique(of_pictures, axis=0, return_counts=True)
    rng = np.random.default_rng(options.seed)
    shares = counts / counts.sum()
    step = max(1, _DRAWN_AT_ONCE // len(counts))
    parts = [_means(counts[None], cases)]
    for start in range(0, options.rounds, step):
        size = min(step, options.rounds - start)
        parts.append(_means(rng.multinomial(counts.sum(), shares, size), cases))
    return np.concatenate(parts)


def _told(answers: Answers) -> NDArray[np.bool_]:
    told: NDArray[np.bool_] = answers.top[:, 0] == answers.wanted
    return told


def _means(times: NDArray[np.int64], cases: NDArray[np.int64]) -> Floats:
    """``(draws, encoders)`` from how often each case is in each draw, ``(draws, cases)``."""
    means = np.empty((len(times), cases.shape[1] // 2))
    for number in range(means.shape[1]):
        classes, told = cases[:, 2 * number], cases[:, 2 * number + 1] == 1
        order = np.argsort(classes, kind="stable")
        starts = np.flatnonzero(np.diff(classes[order], prepend=-1))
        drawn = times[:, order]
        every = np.add.reduceat(drawn, starts, axis=1)
        right = np.add.reduceat(drawn * told[order], starts, axis=1)
        accuracies = right / np.maximum(every, 1)
        means[:, number] = accuracies.sum(axis=1) / (every > 0).sum(axis=1)
    return means
