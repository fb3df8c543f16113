"""A shortlist in another order, against sorting by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.shortlists import Shortlists
from unisem.evaluation import Ranking


@pytest.fixture
def found() -> Shortlists:
    random = np.random.default_rng(0)
    scores = random.normal(size=(20, 30))
    return Shortlists.of(scores, [[query, 29 - query] for query in range(15)] + [[3]] * 5, depth=7)


def test_its_own_scores_give_the_encoders_order(found: Shortlists) -> None:
    own = Ranking.of(found.scores, found.relevant)
    for ours, theirs in zip(found.ranking(found.own).ranks, own.ranks, strict=True):
        assert ours.tolist() == theirs.tolist()


def test_only_the_first_change_places(found: Shortlists) -> None:
    said = np.random.default_rng(1).normal(size=(20, 7)) * 100 - 500
    ranking = found.ranking(said)
    for query, wanted in enumerate(found.relevant):
        by_encoder = sorted(range(30), key=lambda c: (-found.scores[query, c], c))
        first = by_encoder[:7]
        judged = dict(zip(found.first[query].tolist(), said[query], strict=True))
        order = sorted(first, key=lambda c: -judged[c]) + by_encoder[7:]
        ranks = sorted(order.index(candidate) + 1 for candidate in wanted)
        assert ranking.ranks[query].tolist() == ranks


def test_what_is_relevant_in_a_shortlist(found: Shortlists) -> None:
    for query, wanted in enumerate(found.relevant):
        marked = found.first[query][found.right[query]].tolist()
        assert sorted(marked) == sorted(set(wanted) & set(found.first[query].tolist()))
