"""A reranker's calibration from a space and questions whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.rerankers import ColourReranker
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import CalibrationError
from unisem.evaluation import AskedQuery, calibrate_reranker
from unisem.search import RerankCalibration, Reranking

COLOURS = ("red", "green", "blue", "white")


@pytest.fixture
def space() -> SemanticSpace:
    space = SemanticSpace.open(None, encoder=ToyEncoder())
    space.add(
        Record(id=f"{colour}{n}", text=f"{colour} thing {n}")
        for colour in COLOURS
        for n in range(10)
    )
    return space


def test_it_is_fitted_to_what_the_search_finds_and_the_reranker_says(space: SemanticSpace) -> None:
    queries = [
        AskedQuery(f"a {colour} one", tuple(f"{colour}{n}" for n in range(10)))
        for colour in COLOURS
    ]
    told: list[tuple[int, int]] = []
    fitted = calibrate_reranker(
        space,
        ColourReranker(),
        [*queries, AskedQuery("nobody knows")],
        candidates=40,
        progress=lambda *done: told.append(done),
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    lists = [space.search(query.text, k=40) for query in queries]
    judged = [
        np.array([float(query.text.split()[1] in (hit.record.text or "")) for hit in hits])
        for query, hits in zip(queries, lists, strict=True)
    ]
    own = [np.array([hit.score for hit in hits]) for hits in lists]
    right = [
        np.array([hit.record.id in query.relevant for hit in hits])
        for query, hits in zip(queries, lists, strict=True)
    ]
    expected = RerankCalibration.fit(judged, own, right)
    assert fitted == expected
    found = space.search(
        "a red one", k=12, reranker=Reranking(ColourReranker(), calibration=fitted)
    )
    assert all(hit.record.id.startswith("red") for hit in found[:10])
    assert found[0].score > 0.9
    assert found[-1].score < 0.1


def test_questions_without_answers_are_refused(space: SemanticSpace) -> None:
    with pytest.raises(CalibrationError, match="no query says"):
        calibrate_reranker(space, ColourReranker(), [AskedQuery("red")])
