"""Fusion by hand and by the formulas."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from unisem import Record
from unisem.records import Modality
from unisem.search.fusion import RankFusion, WeightedFusion, reciprocal_rank_fusion, weighted_fusion
from unisem.stores.hits import Hit

RECORDS = {name: Record(id=name, text=name) for name in "abcdefghijklmnopqrst"}


def hits(scores: dict[str, float], matched: Modality = "text") -> list[Hit]:
    return [Hit(RECORDS[name], score, matched) for name, score in scores.items()]


def scores_of(fused: list[Hit]) -> dict[str, float]:
    return {hit.record.id: hit.score for hit in fused}


LEFT = hits({"a": 0.9, "b": 0.5, "c": 0.1}, "image")
RIGHT = hits({"d": 7.0, "b": 6.0, "a": 3.0})


def test_ranks_by_hand() -> None:
    fused = reciprocal_rank_fusion([LEFT, RIGHT], k=10)
    assert [hit.record.id for hit in fused] == ["a", "b", "d", "c"]
    assert [hit.score for hit in fused] == pytest.approx(
        [1 / 11 + 1 / 13, 1 / 12 + 1 / 12, 1 / 11, 1 / 13]
    )
    assert [hit.matched for hit in fused] == ["image", "image", "text", "image"]
    assert fused == RankFusion(k=10).fuse(LEFT, RIGHT)
    assert RankFusion().k == 60


def test_weights_by_hand() -> None:
    fused = weighted_fusion([LEFT, RIGHT], [0.5, 0.5])
    assert scores_of(fused) == pytest.approx({"b": 0.625, "a": 0.5, "d": 0.5, "c": 0})
    assert [hit.record.id for hit in fused] == ["b", "a", "d", "c"]
    assert [hit.matched for hit in fused] == ["text", "image", "text", "image"]
    assert fused == WeightedFusion().fuse(LEFT, RIGHT)
    only_vector = WeightedFusion(vector=1.0).fuse(LEFT, RIGHT)
    assert [hit.record.id for hit in only_vector] == ["a", "b", "c", "d"]


def test_ties_are_in_the_order_of_ids_whichever_list_comes_first() -> None:
    one, two = hits({"b": 1, "a": 0.5}), hits({"a": 1, "b": 0.5})
    for fuse in (RankFusion().fuse, WeightedFusion().fuse):
        assert [hit.record.id for hit in fuse(one, two)] == ["a", "b"]
        assert scores_of(fuse(one, two)) == scores_of(fuse(two, one))


def test_empty_and_single_lists() -> None:
    for fusion in (RankFusion(), WeightedFusion()):
        assert fusion.fuse([], []) == []
        assert [hit.record.id for hit in fusion.fuse([], RIGHT)] == ["d", "b", "a"]
    # One hit alone, or equals, are the best of their list and not the worst.
    assert scores_of(WeightedFusion(0.25).fuse(hits({"a": 0.2}), hits({"b": 3, "c": 3}))) == {
        "b": 0.75,
        "c": 0.75,
        "a": 0.25,
    }


def test_wrong_arguments() -> None:
    for k in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="k must be"):
            RankFusion(k)
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            WeightedFusion(share)
    with pytest.raises(ValueError, match="2 lists but 1 weights"):
        weighted_fusion([LEFT, RIGHT], [1])
    with pytest.raises(ValueError, match="weights"):
        weighted_fusion([LEFT], [-1])


@pytest.mark.parametrize("seed", range(5))
def test_both_are_their_formulas(seed: int) -> None:
    """Cormack et al. 2009, with k = 60; scores scaled to 0 to 1 in each list, and their sum."""
    rng = random.Random(seed)
    lists: list[dict[str, float]] = []
    for scale in (1.0, 20.0, 3.0):
        names = rng.sample(sorted(RECORDS), 12)
        values = sorted((scale * rng.random() for _ in names), reverse=True)
        lists.append(dict(zip(names, values, strict=True)))
    weights = (0.5, 0.3, 0.2)
    by_rank, by_sum = defaultdict[str, float](float), defaultdict[str, float](float)
    for scores, weight in zip(lists, weights, strict=True):
        low, high = min(scores.values()), max(scores.values())
        for rank, (name, score) in enumerate(scores.items(), 1):
            by_rank[name] += 1 / (60 + rank)
            by_sum[name] += weight * (score - low) / (high - low)
    ranked = list(map(hits, lists))
    assert scores_of(reciprocal_rank_fusion(ranked)) == pytest.approx(dict(by_rank))
    assert scores_of(weighted_fusion(ranked, weights)) == pytest.approx(dict(by_sum))
