"""Intervals: against SciPy, and against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from unisem.evaluation.bootstrap import bootstrap_interval, bootstrap_intervals


def test_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).exponential(size=60)
    ours = bootstrap_interval(values, rounds=20_000)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    np.testing.assert_allclose(ours, theirs, atol=0.01)


def test_covers_the_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(200):
        low, high = bootstrap_interval((rng.random(80) < 0.3).astype(float), rounds=500, seed=seed)
        covered += low <= 0.3 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_groups_are_drawn_together() -> None:
    """Five captions that succeed or fail with their picture: alone they promise too much."""
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(40), 5)
    grouped = alone = 0
    for seed in range(200):
        values = np.repeat((rng.random(40) < 0.5).astype(float), 5)
        low, high = bootstrap_interval(values, groups=groups, rounds=400, seed=seed)
        grouped += low <= 0.5 <= high
        low, high = bootstrap_interval(values, rounds=400, seed=seed)
        alone += low <= 0.5 <= high
    assert grouped / 200 >= 0.88
    assert alone / 200 <= 0.75


def test_groups_of_unequal_size_weigh_by_their_queries() -> None:
    values = np.array([1.0, 1.0, 1.0, 0.0])
    low, high = bootstrap_interval(values, groups=[7, 7, 7, 2], rounds=2000)
    assert (low, high) == (0.0, 1.0)  # a resample is one of {0, .75, 1}, a quarter of them 0
    middle = bootstrap_interval(values, groups=[7, 7, 7, 2], rounds=2000, confidence=0.4)
    assert middle == (0.75, 0.75)


def test_measures_share_their_resamples() -> None:
    rng = np.random.default_rng(3)
    one = rng.random(30)
    intervals = bootstrap_intervals(np.column_stack([one, one, one + 1]), rounds=300)
    np.testing.assert_array_equal(intervals[0], intervals[1])
    np.testing.assert_allclose(intervals[2], intervals[0] + 1)
    assert tuple(intervals[0]) == bootstrap_interval(one, rounds=300)
    assert tuple(intervals[0]) != bootstrap_interval(one, rounds=300, seed=1)


def test_equal_systems_differ_by_nothing() -> None:
    assert bootstrap_interval(np.zeros(20)) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([], {}, "at least one query"),
        ([1.0], {"confidence": 1.0}, "between 0 and 1"),
        ([1.0], {"rounds": 0}, "at least 1"),
        ([1.0], {"groups": [1, 2]}, "1 queries but 2 groups"),
    ],
)
def test_bad_arguments(values: list[float], options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(np.array(values), **options)  # type: ignore[arg-type]
