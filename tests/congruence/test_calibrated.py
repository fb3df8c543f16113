"""In a calibrated space, too, all fronts give the same answers, which are brute force's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.schema import QueryBundle

import langchain_unisem
from llama_index_unisem import UniSemIndex, UniSemRetriever
from tests.calibration.synthetic import unit
from tests.congruence.fronts import LlamaIndex, Question, query_of, vector_of
from tests.congruence.test_congruence import TEXTS, Fronts
from tests.support.oracle import BruteForce
from tests.support.things import ThingEncoder, apart, captioned
from tests.support.toy import ToyEncoder
from unisem import Query, Record, SemanticSpace
from unisem.calibration import Calibration, Choices, PairChoice, Sample, fit_calibration
from unisem.errors import CalibrationError
from unisem.search.composition import mean_of
from unisem.stores.faiss.statistics import StoreStatistics

Found = list[tuple[str, float, str, float | None]]


def made() -> Calibration:
    """Means, biases and scales of vectors that are not the corpus's."""
    rng, encoder = np.random.default_rng(5), ToyEncoder()
    texts, images = (unit(rng.normal(size=(80, encoder.dimension)) + away) for away in (0.4, -0.3))
    numbers = np.arange(80)
    sample = Sample(texts, texts, images, numbers, numbers)
    fitted = fit_calibration(sample, fingerprint=encoder.fingerprint)
    pairs = {
        (asked, kind): PairChoice(alpha=0.5, k=8, slope=10.0 if kind == "text" else 7.0)
        for asked, kind in fitted.pairs
    }
    return replace(fitted, choices=Choices(), pairs=pairs)


CALIBRATION = made()


@pytest.fixture(scope="module", params=["flat", "ivf_pq"])
def fronts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fronts]:
    opened = Fronts(tmp_path_factory.mktemp("calibrated"), request.param)
    for front in opened.fronts:
        front.space.use_calibration(CALIBRATION)
        if isinstance(front, LlamaIndex):
            front.own.client.calibrate(CALIBRATION)
    yield opened
    for front in opened.fronts:
        front.space.close()


def brute_force(fronts: Fronts, question: Question) -> Found:
    oracle, space = BruteForce(), fronts.fronts[0].space
    oracle.add(fronts.oracle.chosen(question.condition, question.modality))
    vector, kind = vector_of(space, question), query_of(question).kind
    return oracle.search_calibrated(CALIBRATION, vector, kind, question.k, match=question.match)


def check(fronts: Fronts, question: Question, *, tolerance: float = 0.0) -> None:
    found = fronts.ask(question, tolerance=tolerance)
    expected = brute_force(fronts, question)
    assert [name for name, _ in found] == [name for name, *_ in expected], question
    scores, standard = [score for _, score in found], [score for _, score, *_ in expected]
    line = np.polyfit(standard, scores, 1)  # one for texts and pictures
    np.testing.assert_allclose(np.polyval(line, standard), scores, atol=1e-5)


@pytest.mark.parametrize("match", ["any", "text", "image"])
@pytest.mark.parametrize("modality", [None, "text", "image"])
def test_by_text(fronts: Fronts, match: Any, modality: Any) -> None:
    if (match, modality) == ("image", "text"):
        return  # there are none
    for text in TEXTS:
        check(fronts, Question(text=text, match=match, modality=modality, k=7))


def test_by_picture(fronts: Fronts) -> None:
    for name in ("red", "blue", "3"):
        check(fronts, Question(image=fronts.folder / f"{name}.png", k=9))


@pytest.mark.parametrize("weight", [0.0, 0.2, 0.5, 1.0])
def test_by_text_and_picture(fronts: Fronts, weight: float) -> None:
    picture = fronts.folder / "green.png"
    question = Question(text="harbour of paper", image=picture, text_weight=weight, k=9)
    check(fronts, question, tolerance=1e-4)


@pytest.mark.parametrize("least", [0.0, 0.02, 0.1, 1.0])
def test_least_relevance(fronts: Fronts, least: float) -> None:
    question = Question(text="red card", k=1000)
    every = brute_force(fronts, question)
    expected = [name for name, _, _, chance in every if chance is not None and chance >= least]
    found = fronts.ask(replace(question, min_relevance=least))
    assert [name for name, _ in found] == expected
    assert least in (0.0, 1.0) or 0 < len(expected) < len(every)


@pytest.mark.parametrize(
    "how",
    [
        {"min_score": 0.1},
        {"mode": "hybrid"},
        {"mode": "hybrid", "min_relevance": 0.1},
        {"mode": "keyword"},
        {"diversity": 0.5, "fetch_k": 20},
    ],
)
def test_what_follows_is_the_same_for_all(fronts: Fronts, how: dict[str, Any]) -> None:
    for text in TEXTS:
        fronts.ask(Question(text=text, k=12, **how))


def test_an_index_says_what_its_queries_are_of(fronts: Fronts) -> None:
    core, _, llama_index = fronts.fronts
    index = UniSemIndex(space=llama_index.space)
    retriever = index.as_retriever(similarity_top_k=9)
    for text, picture in (("red card", None), ("", "blue"), ("red card", "blue")):
        path = None if picture is None else fronts.folder / f"{picture}.png"
        expected = core.space.search(text or None, path, k=9)
        found = retriever.retrieve(QueryBundle(text, image_path=path and str(path)))
        assert [(node.node_id, node.score) for node in found] == [
            (hit.record.id, hit.score) for hit in expected
        ]
    retriever.min_relevance = 0.1
    expected = core.space.search("red card", k=9, min_relevance=0.1)
    assert [node.node_id for node in retriever.retrieve("red card")] == [
        hit.record.id for hit in expected
    ]
    several = QueryBundle("", image_path=str(path), custom_embedding_strs=["red card", "snow"])
    vector = mean_of(
        [core.space.embed_query(Query(text=text, image=path)) for text in ("red card", "snow")]
    )
    wanted = core.space.search_query(Query(vector=vector, vector_kind="both", k=9))
    found = UniSemRetriever(space=llama_index.space, similarity_top_k=9).retrieve(several)
    assert [(node.node_id, node.score) for node in found] == [
        (hit.record.id, hit.score) for hit in wanted
    ]


def test_langchain_says_how_probable(fronts: Fronts) -> None:
    core, langchain, _ = fronts.fronts
    hits = core.space.search("red card", k=9)
    documents = langchain_unisem.UniSemRetriever(space=langchain.space, k=9).invoke("red card")
    assert [document.metadata["unisem"]["relevance"] for document in documents] == [
        hit.relevance for hit in hits
    ]
    store = langchain_unisem.UniSemVectorStore(space=langchain.space)
    scored = store.similarity_search_with_relevance_scores("red card", k=1000, score_threshold=0)
    assert len(scored) == fronts.size
    assert all(0 <= score <= 1 for _, score in scored)
    found = store.similarity_search("red card", k=9, min_relevance=0.1)
    expected = core.space.search("red card", k=9, min_relevance=0.1)
    assert [document.id for document in found] == [hit.record.id for hit in expected]


def test_each_front_sees_switches_and_cuts_by_a_spaces_own(tmp_path: Path) -> None:
    """A default text query takes `min_relevance`; drift is said, and nothing is fitted unasked."""
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ThingEncoder()) as space:
        space.add([*captioned(range(60)), *apart(range(60, 120))])
        by_chain = langchain_unisem.UniSemRetriever(space=space, k=120, min_relevance=0.2)
        by_index = UniSemRetriever(space=space, similarity_top_k=120, min_relevance=0.2)

        def found(text: str) -> list[list[str]]:
            return [
                [hit.record.id for hit in space.search(text, k=120, min_relevance=0.2)],
                [str(document.id) for document in by_chain.invoke(text)],
                [node.node_id for node in by_index.retrieve(text)],
            ]

        def drift() -> float:
            statistics = by_chain.space.store.maintenance().statistics()
            assert isinstance(statistics, StoreStatistics)
            assert statistics.calibration is not None
            return max(statistics.calibration.drift.values())

        fitted = by_chain.space.calibrate()
        assert by_index.space.calibration is fitted
        for number in (3, 80, 81):
            first, *others = found(f"thing {number}")
            assert others == [first, first]
            assert 0 < len(first) < 120
            assert any(name[1:] == str(number) for name in first)
        assert drift() < 0.1
        space.add(Record(id=f"n{n}", text="thing 7") for n in range(2000))
        assert drift() > 0.5
        assert by_chain.space.calibration is by_index.space.calibration is fitted
        by_index.space.use_calibration(None)
        assert by_chain.space.calibration is None
        for ask in (
            lambda: space.search("thing 3", min_relevance=0.2),
            lambda: by_chain.invoke("thing 3"),
            lambda: by_index.retrieve("thing 3"),
        ):
            with pytest.raises(CalibrationError, match=r"space\.calibrate\(\) fits one"):
                ask()
