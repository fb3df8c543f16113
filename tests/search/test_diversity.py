"""Maximal marginal relevance against LangChain's, and over records of several vectors."""

from __future__ import annotations

import numpy as np
import pytest
from langchain_core.vectorstores.utils import maximal_marginal_relevance as langchain_s

from unisem.search.diversity import choose, likeness_of, maximal_marginal_relevance


@pytest.mark.parametrize("balance", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("k", [0, 1, 4, 30])
def test_agrees_with_langchain(balance: float, k: int) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        query, rows = rng.standard_normal(16), rng.standard_normal((20, 16))
        rows[7] = rows[3]  # a twin
        expected = langchain_s(query, list(rows), lambda_mult=balance, k=k)
        assert maximal_marginal_relevance(query, rows, k, balance) == expected


def test_no_candidates() -> None:
    assert maximal_marginal_relevance(np.ones(3), np.empty((0, 3)), 5) == []
    assert choose(np.empty(0), np.empty((0, 0)), 5) == []


def test_a_balance_of_one_is_the_ranking_and_leaves_its_arguments_alone() -> None:
    relevance, likeness = np.array([0.5, 0.9, 0.9, 0.1]), np.ones((4, 4))
    assert choose(relevance, likeness, 9, balance=1) == [1, 2, 0, 3]
    assert relevance.tolist() == [0.5, 0.9, 0.9, 0.1]
    with pytest.raises(ValueError, match="balance"):
        choose(relevance, likeness, 2, balance=1.5)


def test_likeness_is_that_of_the_nearest_pair() -> None:
    rng = np.random.default_rng(0)
    groups = [rng.standard_normal((n, 6)).astype(np.float32) for n in (1, 3, 2, 1)]
    likeness = likeness_of(groups)

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    for i, left in enumerate(groups):
        for j, right in enumerate(groups):
            assert likeness[i, j] == pytest.approx(max(cosine(a, b) for a in left for b in right))
