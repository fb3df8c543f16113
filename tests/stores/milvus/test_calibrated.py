"""Calibrated vectors beside the raw ones, against brute force over what a calibration says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.stores.contract.items import item
from tests.stores.milvus.conftest import opened
from tests.stores.test_calibrated import CORPUS, FUSED, ITEMS, answers, assert_one_line, fitted
from tests.support.oracle import BruteForce
from unisem.calibration import Calibration
from unisem.errors import CalibrationError, EncoderMismatchError
from unisem.filters import Field
from unisem.stores.milvus import MilvusStore
from unisem.stores.selection import EVERYTHING, Selection

FIRST, REST = ITEMS[:30], ITEMS[30:42]


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return fitted(2)


def agree(store: MilvusStore, oracle: BruteForce, calibration: Calibration) -> None:
    vector = CORPUS.questions[3]
    for selection in (EVERYTHING, Selection(filter=Field("year") >= 2003)):
        for match, k in (("any", 5), ("any", 500), ("image", 5)):
            (hits,) = store.search(vector[None], k, selection, match)  # type: ignore[arg-type]
            expected = oracle.search_calibrated(calibration, vector, "text", k, selection, match)  # type: ignore[arg-type]
            assert [hit.record.id for hit in hits] == [found[0] for found in expected]
            assert [hit.matched for hit in hits] == [found[2] for found in expected]
            assert [hit.relevance for hit in hits] == pytest.approx(
                [found[3] for found in expected], abs=1e-5
            )
            assert_one_line([hit.score for hit in hits], [found[1] for found in expected])


def test_calibrated(store: MilvusStore, place: str, calibration: Calibration) -> None:
    oracle, other = BruteForce(), opened(place)
    for it in (store, oracle):
        it.add(FIRST)
    raw = answers(store)
    store.calibrate(calibration)
    agree(store, oracle, calibration)
    agree(other, oracle, calibration)
    other.add(REST)  # which must be found by the calibration, too
    oracle.add(REST)
    oracle.delete(Selection(ids=("r3", "r4")))
    assert store.delete(Selection(ids=("r3", "r4"))) == 2
    agree(store, oracle, calibration)
    second = fitted(3, alpha=0.0)
    store.calibrate(second)
    agree(store, oracle, second)
    again = opened(place)
    assert again.calibration is not None
    agree(again, oracle, second)
    again.calibrate(None)
    assert again.calibration is None
    assert store.calibration is None
    again.delete(Selection(ids=tuple(one.record.id for one in REST)))
    again.add([one for one in FIRST if one.record.id in ("r3", "r4")])
    assert answers(again) == raw
    assert again.tidy() == 0
    for it in (again, other):
        it.close()


def test_a_calibration_of_other_vectors_is_refused(
    store: MilvusStore, calibration: Calibration
) -> None:
    store.expect("another")
    with pytest.raises(EncoderMismatchError):
        store.calibrate(calibration)
    store.expect("ab")
    store.calibrate(calibration)  # before the first record
    store.add(FIRST[:5])
    oracle = BruteForce()
    oracle.add(FIRST[:5])
    agree(store, oracle, calibration)
    assert store.delete(EVERYTHING) == 5
    store.calibrate(None)
    store.add([item("a", 1)])
    with pytest.raises(CalibrationError, match="dimension"):
        store.calibrate(calibration)


def test_a_fused_vector_that_comes_between_counting_and_searching(
    store: MilvusStore, calibration: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_scale = {key: replace(pair, slope=None) for key, pair in calibration.pairs.items()}
    choices = replace(calibration.choices, scaled=())
    store.add(FIRST)
    store.calibrate(replace(calibration, choices=choices, pairs=one_scale))
    vector = FUSED[2][None]
    (expected,) = store.search(vector, 5)
    assert expected[0].matched == "both"
    server = type(store._space.server)
    count = server.count

    def counted(self: Any, collection: str, expression: str) -> int:
        return 0 if '"both"' in expression else count(self, collection, expression)

    monkeypatch.setattr(server, "count", counted)
    (found,) = store.search(vector, 5)
    assert [hit.record.id for hit in found] == [hit.record.id for hit in expected]


def test_fused_vectors_are_counted_only_where_there_are_some(
    place: str, store: MilvusStore, calibration: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [one for one in FIRST if "both" not in one.vectors]
    fused = [one for one in (*FIRST, *REST) if "both" in one.vectors][:2]
    assert plain
    assert fused
    store.add(plain)
    store.calibrate(calibration)
    asked: list[str] = []
    server = type(store._space.server)
    count = server.count

    def counted(self: Any, collection: str, expression: str) -> int:
        asked.append(expression)
        return count(self, collection, expression)

    monkeypatch.setattr(server, "count", counted)
    other = opened(place)
    vector = np.atleast_2d(fused[0].vectors["both"])[:1]
    for _ in range(3):
        for one in (store, other):
            (hits,) = one.search(vector, 3)
            assert all(hit.matched != "both" for hit in hits)
    assert sum('"both"' in it for it in asked) == 2  # one of each, not of each search
    store.add(fused)
    oracle = BruteForce()
    oracle.add([*plain, *fused])
    agree(store, oracle, calibration)  # at once
    monkeypatch.setattr("unisem.stores.milvus.space._FRESH", 0)
    agree(other, oracle, calibration)
    other.close()
