"""Hits in a reranker's order: what it judges, what it cannot, and what it must not give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.toy import ToyEncoder
from unisem import ImageRef, Record, SemanticSpace
from unisem.errors import RerankerError
from unisem.rerank import Reranker
from unisem.search.query import Query
from unisem.search.reranking import reorder
from unisem.stores.hits import Hit


class ByTable(Reranker):
    """Scores that the test wrote down, by id."""

    name = "by table"

    def __init__(self, table: dict[str, float]) -> None:
        self.table = table
        self.asked: list[tuple[str | None, ImageRef | None, list[str]]] = []

    def score(
        self, text: str | None, image: ImageRef | None, records: Sequence[Record]
    ) -> NDArray[np.float32]:
        self.asked.append((text, image, [record.id for record in records]))
        return np.array([self.table[record.id] for record in records], np.float32)


def hits(*ids: str) -> list[Hit]:
    return [Hit(Record(id=id, text=id), 1 - i / 10, "text") for i, id in enumerate(ids)]


def shown(found: list[Hit]) -> list[tuple[str, float]]:
    return [(hit.record.id, hit.score) for hit in found]


def test_best_first_and_ties_by_id() -> None:
    reranker = ByTable({"a": 1, "b": 3, "c": 1})
    assert shown(reorder(reranker, "q", None, hits("c", "b", "a"))) == [
        ("b", 3),
        ("a", 1),
        ("c", 1),
    ]


def test_what_cannot_be_judged_comes_last_in_its_old_order() -> None:
    reranker = ByTable({"a": -2, "b": np.nan, "c": 5, "d": np.nan})
    found = reorder(reranker, "q", None, hits("d", "b", "a", "c"))
    assert shown(found) == [("c", 5), ("a", -2), ("d", -2), ("b", -2)]


def test_a_reranker_that_can_judge_nothing_changes_nothing() -> None:
    before = hits("b", "a")
    assert reorder(ByTable({"a": np.nan, "b": np.nan}), "q", None, before) == before
    assert reorder(ByTable({}), "q", None, []) == []


def test_scores_of_another_shape_are_refused() -> None:
    class Wrong(ByTable):
        def score(self, text, image, records):  # type: ignore[no-untyped-def]
            return np.zeros(len(records) + 1, np.float32)

    with pytest.raises(RerankerError, match=r"shape \(3,\) for 2 records"):
        reorder(Wrong({}), "q", None, hits("a", "b"))


@pytest.fixture
def space() -> SemanticSpace:
    space = SemanticSpace.open(None, encoder=ToyEncoder())
    space.add([Record(id=str(i), text=f"word{i} tiger") for i in range(60)])
    return space


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
def test_a_search_reranks_more_candidates_than_it_returns(space: SemanticSpace, mode: str) -> None:
    reranker = ByTable({str(i): i for i in range(60)})
    found = space.search(text="tiger", k=3, mode=mode, reranker=reranker, fetch_k=60)  # type: ignore[arg-type]
    assert shown(found) == [("59", 59), ("58", 58), ("57", 57)]
    assert len(reranker.asked[0][2]) == 60
    assert reranker.asked[0][:2] == ("tiger", None)
    space.search(text="tiger", k=3, mode=mode, reranker=reranker)  # type: ignore[arg-type]
    assert len(reranker.asked[1][2]) >= 50


def test_diversity_weighs_what_the_reranker_says(space: SemanticSpace) -> None:
    reranker = ByTable({str(i): -100 - i for i in range(60)})
    found = space.search(text="tiger", k=3, reranker=reranker, diversity=1e-6, fetch_k=60)
    assert [hit.record.id for hit in found] == ["0", "1", "2"]


def test_a_ready_vector_cannot_be_reranked() -> None:
    with pytest.raises(ValueError, match="a vector is neither"):
        Query(vector=[1, 0], reranker=ByTable({}))
    with pytest.raises(TypeError, match=r"unisem\.rerank\.Reranker"):
        Query(text="a", reranker="bge")  # type: ignore[arg-type]
