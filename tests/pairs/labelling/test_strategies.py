"""Strategies against formulas written out, and against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from unisem.pairs.labelling.strategies import (
    STRATEGIES,
    Coverage,
    Head,
    Pool,
    Strategy,
    load_strategy,
)
from unisem.pairs.labelling.strategies.combined import plus_plus
from unisem.pairs.labelling.strategies.pool import TEMPERATURE
from unisem.records import Vector


def rows(count: int, seed: int, dimension: int = 16) -> Vector:
    drawn = np.random.default_rng(seed).standard_normal((count, dimension))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def pool() -> Pool:
    tags = rows(9, 1)
    return Pool(Head(rows(80, 0), tags), rows(7, 2), (Head(rows(80, 3), tags),))


@pytest.mark.parametrize("name", STRATEGIES)
def test_chooses_as_many_as_wanted_none_twice_and_the_same_again(name: str, pool: Pool) -> None:
    strategy: Strategy = load_strategy(name)
    chosen = strategy.choose(pool, 12, seed=5).tolist()
    assert len(set(chosen)) == len(chosen) == 12
    assert set(chosen) <= set(range(80))
    assert strategy.choose(pool, 12, seed=5).tolist() == chosen
    assert sorted(strategy.choose(pool, 500)) == list(range(80)), "all that there are"
    none = Pool(Head(rows(0, 0), pool.head.tags), pool.labelled, (Head(rows(0, 0), rows(9, 1)),))
    assert len(strategy.choose(none, 3)) == 0
    with pytest.raises(ValueError, match="at least 1"):
        strategy.choose(pool, 0)


def beliefs(images: Vector, tags: Vector) -> np.ndarray:
    powers = np.exp(images.astype(np.float64) @ tags.T.astype(np.float64) / TEMPERATURE)
    return powers / powers.sum(axis=1, keepdims=True)


def test_uncertainty_is_the_margin_between_two_tags(pool: Pool) -> None:
    ordered = np.sort(beliefs(pool.head.images, pool.head.tags), axis=1)
    expected = np.argsort(ordered[:, -1] - ordered[:, -2])[:10]
    assert load_strategy("uncertainty").choose(pool, 10).tolist() == expected.tolist()
    with pytest.raises(ValueError, match="two tags"):
        load_strategy("uncertainty").choose(Pool(Head(rows(3, 0), rows(1, 1)), rows(0, 0)), 1)


def test_disagreement_is_the_divergence_of_beliefs(pool: Pool) -> None:
    one, two = (beliefs(head.images, head.tags) for head in (pool.head, *pool.others))
    mean = (one + two) / 2
    divergence = ((one * np.log(one / mean)).sum(1) + (two * np.log(two / mean)).sum(1)) / 2
    expected = np.argsort(-divergence)[:10]
    assert load_strategy("disagreement").choose(pool, 10).tolist() == expected.tolist()
    with pytest.raises(ValueError, match="two encoders"):
        load_strategy("disagreement").choose(Pool(pool.head, pool.labelled), 1)


def test_diversity_takes_the_farthest_each_time(pool: Pool) -> None:
    images, centres = pool.head.images, list(pool.labelled)
    expected = []
    for _ in range(10):
        nearest = [max(float(image @ centre) for centre in centres) for image in images]
        far = min((n for n in range(80) if n not in expected), key=lambda n: nearest[n])
        expected.append(far)
        centres.append(images[far])
    assert load_strategy("diversity").choose(pool, 10).tolist() == expected


def test_rarest_takes_turns_among_classes() -> None:
    """Three of the first class, two of the second, one of the third; one caption of the third."""
    tags = np.eye(3, dtype=np.float32)
    images = np.concatenate([tags[[0, 0, 0]], tags[[1, 1]], tags[[2]]])
    chosen = load_strategy("rarest").choose(Pool(Head(images, tags), tags[[2]]), 6)
    classes = images[chosen].argmax(axis=1).tolist()
    assert classes == [1, 0, 2, 1, 0, 0]


def test_coverage_is_the_greedy_choice_written_out(pool: Pool) -> None:
    """By the definition, picture by picture: what each candidate adds to the weighted sum."""
    given = np.concatenate([pool.head.images, pool.labelled]).astype(np.float64)
    given -= given.mean(axis=0)
    given /= np.linalg.norm(given, axis=1, keepdims=True)
    squares = ((given[:, None] - given[None]) ** 2).sum(axis=2)
    likeness, series = np.exp(-squares), np.exp(-squares / 0.2)
    weights = 1 / series.sum(axis=1)

    def covered(centres: list[int]) -> float:
        return float(sum(weights[n] * max(likeness[n, c] for c in centres) for n in range(80)))

    centres = list(range(80, 87))
    for _ in range(10):
        free = [n for n in range(80) if n not in centres]
        centres.append(max(free, key=lambda n: covered([*centres, n])))
    assert load_strategy("coverage").choose(pool, 10).tolist() == centres[7:]


def test_coverage_counts_a_series_once() -> None:
    """Forty copies of a picture are one; five alike ones that are no copies come before."""
    rng = np.random.default_rng(0)
    axes = np.eye(8)
    drawn = np.concatenate([axes[[0] * 40], axes[1] + 0.3 * rng.standard_normal((5, 8))])
    images = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    first, second = Coverage().choose(Pool(Head(images, rows(2, 1, 8)), rows(0, 0, 8)), 2)
    assert first >= 40
    assert second < 40


def test_coverage_looks_at_a_part_of_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unisem.pairs.labelling.strategies.coverage._COVERED", 50)
    many = Pool(Head(rows(400, 0), rows(2, 1)), rows(7, 2))
    chosen = Coverage().choose(many, 20, seed=1).tolist()
    assert len(set(chosen)) == 20
    assert max(chosen) >= 50, "all may be asked about"
    assert Coverage().choose(many, 20, seed=1).tolist() == chosen


def test_typical_takes_the_middle_of_the_largest_group_without_captions() -> None:
    """Two groups and a stray: who is nearest to its group's others is asked about first."""
    rng = np.random.default_rng(0)
    axes = np.eye(8)
    large = axes[0] + 0.1 * rng.standard_normal((9, 8))
    small = axes[1] + 0.1 * rng.standard_normal((5, 8))
    drawn = np.concatenate([large, small, axes[[2]]])
    images = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    pool = Pool(Head(images, rows(9, 1, 8)), np.zeros((0, 8), np.float32))
    first, second, third = load_strategy("typical").choose(pool, 3).tolist()
    inside = images[:9] @ images[:9].T
    assert first == int((inside.sum(axis=1)).argmax())
    assert 9 <= second < 14
    assert third == 14
    known = Pool(pool.head, images[[first]])
    assert 9 <= load_strategy("typical").choose(known, 2)[0] < 14, "the large one has a caption"


def test_combined_is_k_means_plus_plus_over_gradients() -> None:
    """The first is the least certain, and each other one is drawn by its squared distance."""
    found = plus_plus(np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 1.0]]), 1, np.random.default_rng(0))
    assert found.tolist() == [1]
    table = np.array([[4.0, 0.0], [0.0, 0.0], [0.0, 3.0]])  # squares from the first: 16 and 25
    draws = [plus_plus(table, 2, np.random.default_rng(seed))[1] for seed in range(2000)]
    assert np.bincount(draws, minlength=3)[2] / 2000 == pytest.approx(25 / 41, abs=0.04)
    alike = np.zeros((4, 2))
    assert sorted(plus_plus(alike, 4, np.random.default_rng(0))) == [0, 1, 2, 3]


def test_a_strategy_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="no strategy 'best'; there are coverage, typical"):
        load_strategy("best")
