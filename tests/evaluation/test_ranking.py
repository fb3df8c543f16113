"""Measures against values worked out by hand, scikit-learn and trec_eval."""

from __future__ import annotations

import numpy as np
import pytest
import pytrec_eval
from sklearn.metrics import ndcg_score

from unisem.evaluation import Ranking


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


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="at least one relevant"):
        Ranking.of(np.zeros((1, 3)), [[]])
    with pytest.raises(ValueError, match="2 rows"):
        Ranking.of(np.zeros((2, 3)), [[0]])
    with pytest.raises(ValueError, match="query 0 needs one gain"):
        Ranking.of(np.zeros((1, 3)), [[0]], [[0.0]])
    with pytest.raises(ValueError, match="query 0 needs one gain"):
        Ranking.of(np.zeros((1, 3)), [[0]], [[1.0, 1.0]])
    with pytest.raises(ValueError, match="1 relevant lists but 2"):
        Ranking.of(np.zeros((1, 3)), [[0]], [[1.0], [1.0]])


def test_what_has_no_score_comes_last() -> None:
    scores = np.array([[np.nan, -5.0, -np.inf, 0.1]])
    ranking = Ranking.of(scores, [[0, 1, 2, 3]])
    assert [list(ranks) for ranks in ranking.ranks] == [[1, 2, 3, 4]]
    assert Ranking.of(scores, [[0]]).first[0] == 3  # no score and the lowest score tie
    assert Ranking.of(scores, [[2]]).first[0] == 4


def test_parts_join() -> None:
    rng = np.random.default_rng(3)
    scores, relevant, gains = graded(rng, 12, 30)
    parts = [Ranking.of(scores[a:b], relevant[a:b], gains[a:b]) for a, b in ((0, 5), (5, 12))]
    whole = Ranking.of(scores, relevant, gains)
    for name, values in Ranking.joined(parts).measures((1, 3)).items():
        np.testing.assert_array_equal(values, whole.measures((1, 3))[name])


MEASURES = {  # ours, trec_eval's (with the cutoff after a dot when asked for)
    "hit@1": "success_1",
    "hit@5": "success_5",
    "hit@10": "success_10",
    "recall@1": "recall_1",
    "recall@5": "recall_5",
    "recall@10": "recall_10",
    "mrr": "recip_rank",
    "map": "map",
    "ndcg@10": "ndcg_cut_10",
}


def graded(
    rng: np.random.Generator, queries: int, candidates: int
) -> tuple[np.ndarray, list[list[int]], list[list[float]]]:
    """Scores without ties, one to twenty relevant candidates, relevance from 1 to 3."""
    scores = rng.permuted(np.linspace(-1, 1, queries * candidates)).reshape(queries, candidates)
    relevant = [
        sorted(rng.choice(candidates, rng.integers(1, 21), replace=False).tolist())
        for _ in range(queries)
    ]
    gains = [[float(rng.integers(1, 4)) for _ in wanted] for wanted in relevant]
    return scores, relevant, gains


def as_trec(
    scores: np.ndarray, relevant: list[list[int]], gains: list[list[float]]
) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    names = [f"d{number:04}" for number in range(scores.shape[1])]
    qrels = {
        f"q{number:04}": {names[at]: int(gain) for at, gain in zip(wanted, values, strict=True)}
        for number, (wanted, values) in enumerate(zip(relevant, gains, strict=True))
    }
    run = {
        f"q{number:04}": dict(zip(names, map(float, row), strict=True))
        for number, row in enumerate(scores)
    }
    return qrels, run


def test_all_measures_equal_trec_eval() -> None:
    scores, relevant, gains = graded(np.random.default_rng(1), 60, 50)
    qrels, run = as_trec(scores, relevant, gains)
    wanted = {"success.1,5,10", "recall.1,5,10", "recip_rank", "map", "ndcg_cut.10"}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, wanted).evaluate(run)
    ours = Ranking.of(scores, relevant, gains).measures((1, 5, 10))
    assert ours.keys() == MEASURES.keys()
    for name, values in ours.items():
        expected = [theirs[query][MEASURES[name]] for query in sorted(theirs)]
        np.testing.assert_allclose(values, expected, rtol=1e-9, err_msg=name)


def test_the_ideal_counts_what_was_not_found() -> None:
    scores = np.concatenate([[1.0], np.zeros(30)])[None]
    ranking = Ranking.of(scores, [[0, 28, 29, 30]])
    ideal = (1 / np.log2(np.arange(1, 5) + 1)).sum()
    assert ranking.ndcg(10)[0] == pytest.approx(1 / ideal)
