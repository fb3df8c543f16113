"""Hits in a reranker's order: what it judges, what it cannot, and what it must not give."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.pictures import noise
from tests.support.toy import ToyEncoder
from unisem import ImageRef, Record, SemanticSpace
from unisem.errors import RerankerError
from unisem.rerank import Reranker
from unisem.search import RerankCalibration, Reranking, RerankReport, reranking
from unisem.search.query import Query
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


def reorder(reranker: Reranker | Reranking, found: list[Hit]) -> list[Hit]:
    return Reranking.of(reranker).reorder("q", None, found)


def test_best_first_and_ties_by_id() -> None:
    found = reorder(ByTable({"a": 1, "b": 3, "c": 1}), hits("c", "b", "a"))
    assert shown(found) == [("b", 3), ("a", 1), ("c", 1)]
    assert [hit.judged for hit in found] == [3, 1, 1]


def test_what_cannot_be_judged_keeps_its_place() -> None:
    reranker = ByTable({"a": -2, "b": np.nan, "c": 5, "d": np.nan})
    found = reorder(reranker, hits("d", "b", "a", "c"))
    assert shown(found) == [("d", 5), ("b", 5), ("c", 5), ("a", -2)]
    assert [hit.judged for hit in found] == [None, None, 5, -2]
    assert shown(reorder(reranker, hits("a", "d", "c"))) == [("c", 5), ("d", 5), ("a", -2)]


def test_a_reranker_that_can_judge_nothing_changes_nothing() -> None:
    before = hits("b", "a")
    assert reorder(ByTable({"a": np.nan, "b": np.nan}), before) == before
    assert reorder(ByTable({}), []) == []


@pytest.mark.parametrize("modalities", [["image"], ["text"], ["image", "text"], []])
def test_only_what_is_of_the_modalities_changes_places(modalities: list[Any]) -> None:
    """Against brute force: of all orders, the one that keeps the others and sorts these."""
    generator = np.random.default_rng(0)
    for _ in range(20):
        pictures = generator.random(5) < 0.5
        table = {str(n): float(generator.integers(0, 3)) for n in range(5)}
        before = [
            Hit(
                Record(id=str(n), text="t", image=noise(n) if picture else None), 1 - n / 10, "text"
            )
            for n, picture in enumerate(pictures)
        ]
        reranker = ByTable(table)
        found = Reranking(reranker, modalities=modalities).reorder("q", None, before)
        chosen = [hit for hit in before if hit.record.modality in modalities]
        fitting = [
            order
            for order in itertools.permutations(before)
            if all(
                now is then for now, then in zip(order, before, strict=True) if then not in chosen
            )
            and _falls([(-table[hit.record.id], hit.record.id) for hit in order if hit in chosen])
        ]
        assert [[hit.record.id for hit in order] for order in fitting] == [
            [hit.record.id for hit in found]
        ]
        assert _falls([-hit.score for hit in found])
        asked = [id for _, _, ids in reranker.asked for id in ids]
        assert asked == [hit.record.id for hit in chosen]
        for hit in found:
            assert hit.judged == (
                table[hit.record.id] if hit.record.modality in modalities else None
            )


def _falls(keys: list[Any]) -> bool:
    return keys == sorted(keys)


class Slow(ByTable):
    """Takes a second of a clock of its own for each record."""

    now = 0.0

    def score(self, text, image, records):  # type: ignore[no-untyped-def]
        self.now += len(records)
        return super().score(text, image, records)


@pytest.mark.parametrize(
    ("seconds", "judged"), [(0.1, 4), (4, 4), (5, 5), (11.5, 11), (30, 30), (100, 40)]
)
def test_as_many_are_judged_as_fit_in_the_time(
    seconds: float, judged: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{n:02}" for n in range(40)]
    slow = Slow({name: float(name) for name in names})
    monkeypatch.setattr(reranking, "_clock", lambda: slow.now)
    reports: list[RerankReport] = []
    asked = Reranking(slow, seconds=seconds, report=reports.append)
    found = asked.reorder("q", None, hits(*names))
    assert [hit.record.id for hit in found] == [*names[:judged][::-1], *names[judged:]]
    assert [hit.judged is not None for hit in found] == [True] * judged + [False] * (40 - judged)
    assert reports == [RerankReport(40, judged, 40 - judged, judged)]
    assert slow.asked[0][2] == []  # loaded before the clock runs


def test_a_report_tells_what_could_not_be_judged_from_what_was_left() -> None:
    reports: list[RerankReport] = []
    reranker = ByTable({"a": 1, "b": np.nan, "c": 2})
    Reranking(reranker, report=reports.append).reorder("q", None, hits("a", "b", "c"))
    assert reports[0][:3] == (3, 2, 0)


def test_a_calibration_makes_probabilities_and_mixes() -> None:
    calibration = RerankCalibration(judged=2, own=1.5, offset=-1)
    table = {"a": 1.0, "b": 1.5, "c": -1.0, "d": np.nan}
    found = reorder(Reranking(ByTable(table), calibration=calibration), hits("a", "b", "c", "d"))
    one = 1.5 * 0.1 / np.std([1.0, 0.9, 0.8])  # a tenth of the cosine; d is not in the list
    logits = {"a": 2 * 1 + one - 1, "b": 2 * 1.5 - 1, "c": -2 - one - 1}
    assert shown(found)[:3] == [(id, pytest.approx(1 / (1 + np.exp(-logits[id])))) for id in "abc"]
    assert shown(found)[3] == ("d", found[2].score)
    assert [hit.judged for hit in found] == [1, 1.5, -1, None]
    asked = Reranking(ByTable(table), calibration=calibration)
    records = [hit.record for hit in hits("a", "b", "d")]
    for own in (None, [None] * 3, [0.5, None, 0.1]):  # nobody searched, or not for all of them
        alone = asked.rank("q", None, records, own)
        chances = [pytest.approx(1 / (1 + np.exp(-logit))) for logit in (2, 1, 1)]
        assert [(one.position, one.score) for one in alone] == [
            *zip((1, 0, 2), chances, strict=True)
        ]
    whole = asked.rank("q", None, records, [0.5, 0.1, 0.3])
    assert asked.rank("q", None, records, [0.5, 0.1, None]) == whole  # d is not judged
    with pytest.raises(ValueError, match="search_weight=0"):
        calibration.probabilities(np.array([1.0, 2.0]), [0.5, None])
    with pytest.raises(ValueError, match='mode "vector"'):
        Query(text="a", mode="hybrid", reranker=asked)


def test_a_weight_mixes_both_in_units_of_their_lists() -> None:
    table = {"a": 10.0, "b": 20.0, "c": 60.0, "d": np.nan}
    asked = Reranking(ByTable(table), search_weight=0.75)
    found = reorder(asked, hits("a", "b", "c", "d"))
    judged, own = np.array([10.0, 20.0, 60.0]), np.array([1.0, 0.9, 0.8])  # d is not in the lists
    mixed = 0.25 * (judged - 30) / judged.std() + 0.75 * (own - 0.9) / own.std()
    expected = sorted(zip(mixed, "abc", strict=True), reverse=True)
    assert shown(found)[:3] == [(id, pytest.approx(score)) for score, id in expected]
    assert shown(found)[3] == ("d", found[2].score)
    records = [hit.record for hit in hits("a", "b")]
    with pytest.raises(ValueError, match="some of what is reranked has none; search_weight=0"):
        asked.rank("q", None, records, [0.5, None])
    with pytest.raises(ValueError, match='mode "vector"'):
        Query(text="a", mode="hybrid", reranker=asked)


@pytest.mark.parametrize(
    "asked",
    [
        {"search_weight": 0.75},
        {"search_weight": 1},
        {"calibration": RerankCalibration(judged=0, own=1)},
    ],
)
def test_where_nothing_can_be_mixed_the_order_is_the_rerankers(asked: dict[str, Any]) -> None:
    reranking = Reranking(ByTable({"a": 10.0, "b": 20.0, "c": 60.0, "d": np.nan}), **asked)
    records = [hit.record for hit in hits("a", "d", "b", "c")]
    for own in (None, [None] * 4, [None, 0.5, None, None]):  # d is not judged
        found = reranking.rank("q", None, records, own)
        assert [(one.position, one.score) for one in found] == [
            (3, 60.0),
            (1, 60.0),
            (2, 20.0),
            (0, 10.0),
        ]


def test_settings_out_of_range() -> None:
    with pytest.raises(TypeError, match="load_reranker"):
        Reranking("bge")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="modalities must be"):
        Reranking(ByTable({}), modalities="image")
    with pytest.raises(ValueError, match="modalities must be"):
        Reranking(ByTable({}), modalities=["video"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="seconds must be"):
        Reranking(ByTable({}), seconds=0)
    for weight in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="search_weight must be"):
            Reranking(ByTable({}), search_weight=weight)
    with pytest.raises(ValueError, match="says itself"):
        Reranking(ByTable({}), search_weight=0.5, calibration=RerankCalibration(judged=1))


def test_scores_of_another_shape_are_refused() -> None:
    class Wrong(ByTable):
        def score(self, text, image, records):  # type: ignore[no-untyped-def]
            return np.zeros(len(records) + 1, np.float32)

    with pytest.raises(RerankerError, match=r"shape \(3,\) for 2 records"):
        reorder(Wrong({}), hits("a", "b"))


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
