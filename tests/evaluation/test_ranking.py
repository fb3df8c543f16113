"""Measures against values worked out by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from unisem.evaluation import Ranking
from unisem.evaluation.ranking import bootstrap_interval


def test_by_hand() -> None:
    scores = np.array([[0.9, 0.1, 0.5, 0.3], [0.2, 0.2, 0.2, 0.9]])
    ranking = Ranking.of(scores, [[2, 3], [1]])
    assert [list(ranks) for ranks in ranking.ranks] == [[2, 3], [3]]  # ties by position
    assert list(ranking.hit(1)) == [0, 0]
    assert list(ranking.hit(2)) == [1, 0]
    assert list(ranking.recall(2)) == [0.5, 0]
    assert list(ranking.reciprocal_rank()) == [1 / 2, 1 / 3]
    first = (1 / np.log2(3) + 1 / np.log2(4)) / (1 + 1 / np.log2(3))
    np.testing.assert_allclose(ranking.ndcg(10), [first, 1 / np.log2(4)])


def test_ndcg_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((30, 40))  # no ties: scikit-learn averages over them
    relevant = [sorted(rng.choice(40, rng.integers(1, 8), replace=False)) for _ in range(30)]
    truth = np.zeros((30, 40))
    for row, wanted in zip(truth, relevant, strict=True):
        row[wanted] = 1
    for k in (1, 5, 10, 40):
        assert Ranking.of(scores, relevant).ndcg(k).mean() == pytest.approx(
            ndcg_score(truth, scores, k=k)
        )


def test_bootstrap_covers_the_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(200):
        low, high = bootstrap_interval((rng.random(80) < 0.3).astype(float), rounds=500, seed=seed)
        covered += low <= 0.3 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="at least one relevant"):
        Ranking.of(np.zeros((1, 3)), [[]])
    with pytest.raises(ValueError, match="2 rows"):
        Ranking.of(np.zeros((2, 3)), [[0]])
