"""The mean per class and its interval, against pictures drawn one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from unisem.evaluation.answers import Answers
from unisem.evaluation.class_means import difference_per_class, mean_per_class
from unisem.evaluation.options import EvaluationOptions

OPTIONS = EvaluationOptions(rounds=20_000)
SIZES = (40, 15, 6, 3, 1)  # pictures of each class


def answers(shares: tuple[float, ...], seed: int) -> Answers:
    """Of each class about such a share is told right."""
    rng = np.random.default_rng(seed)
    wanted = np.repeat(np.arange(5), SIZES)
    right = rng.random(len(wanted)) < np.array(shares)[wanted]
    told = np.where(right, wanted, (wanted + 1) % 5)
    unused: Any = None
    return Answers(unused, unused, wanted, told[:, None], unused, unused)


def mean_of(found: Answers, chosen: np.ndarray) -> float:
    wanted, told = found.wanted[chosen], found.top[chosen, 0]
    return float(np.mean([(told[wanted == one] == one).mean() for one in np.unique(wanted)]))


OURS, THEIRS = answers((0.9, 0.5, 0.7, 0.4, 1.0), 0), answers((0.7, 0.4, 0.5, 0.4, 1.0), 1)


def test_pictures_drawn_one_by_one_give_the_interval() -> None:
    count = sum(SIZES)
    rng = np.random.default_rng(2)
    drawn = [rng.integers(0, count, count) for _ in range(1500)]
    found = mean_per_class(OURS, OPTIONS)
    assert found.value == pytest.approx(mean_of(OURS, np.arange(count)))
    expected = np.quantile([mean_of(OURS, some) for some in drawn], [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.015)
    paired = difference_per_class(OURS, THEIRS, OPTIONS)
    changes = [mean_of(OURS, some) - mean_of(THEIRS, some) for some in drawn]
    assert (paired.low, paired.high) == pytest.approx(
        tuple(np.quantile(changes, [0.025, 0.975])), abs=0.015
    )
    assert paired.value == pytest.approx(found.value - mean_per_class(THEIRS, OPTIONS).value)


def test_where_nothing_varies_the_interval_is_a_point() -> None:
    perfect = answers((1.0,) * 5, 0)
    found = mean_per_class(perfect, OPTIONS)
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)
    same = difference_per_class(OURS, OURS, OPTIONS)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert mean_per_class(OURS, OPTIONS) == mean_per_class(OURS, OPTIONS)
