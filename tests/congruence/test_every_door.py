"""Every public retriever, engine and tool over one space gives what the space gives, to the bit.

What the space itself gives is held against brute force in `test_congruence`, and here where a
reranker judges.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

import langchain_unisem
import llama_index_unisem
from tests.clients.live import serving
from tests.congruence.conditions import Group, Leaf
from tests.congruence.corpus import records
from tests.congruence.doors import DOORS
from tests.congruence.fronts import Core, Found, Question, vector_of
from tests.congruence.oracle import Oracle, rank_fused
from tests.support.rerankers import ColourReranker
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.search import RerankCalibration, Reranking
from unisem.service.http.app import create_app

MODES: tuple[dict[str, Any], ...] = (
    {},
    {"mode": "keyword"},
    {"mode": "hybrid"},
    {"mode": "hybrid", "alpha": 0.3},
    {"diversity": 0.5},
    {"diversity": 0.2, "fetch_k": 9},
    {"match": "text"},
    {"match": "image", "diversity": 0.7},
)
CONDITIONS = (
    None,
    Leaf("flag", "eq", True),
    Group("or", (Leaf("city", "in", ["Oslo", "Rome"]), Leaf("number", "gt", 31))),
)
PARTS: dict[str, tuple[Any, ...]] = {
    "k": (1, 3, 8),
    "modality": (None, "image", "text"),
    "condition": CONDITIONS,
    "min_score": (None, 0.21),
    "reranker": (
        None,
        ColourReranker(),
        Reranking(ColourReranker(), modalities=["image"]),
        Reranking(ColourReranker(sees_images=False), calibration=RerankCalibration(judged=2)),
    ),
    "neighbors": (0, 2),
}
TEXTS = ("red tiger", "a blue card of snow", "harbour of paper and green")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("doors") / "pictures"


@pytest.fixture(scope="module")
def corpus(folder: Path) -> list[Record]:
    """The corpus, in a chain of four texts and a picture after another."""
    found = records(folder)
    found.sort(key=lambda record: record.id[1:])
    links: list[dict[str, str]] = [{} for _ in found]
    for (n, first), (m, second) in itertools.pairwise(enumerate(found)):
        if m % 5:
            links[n]["next"] = second.id
            links[m]["previous"] = first.id
    return [replace(record, links=linked) for record, linked in zip(found, links, strict=True)]


@pytest.fixture(scope="module")
def near(folder: Path, corpus: list[Record]) -> Iterator[SemanticSpace]:
    """The space of this process."""
    with SemanticSpace.open(None, encoder=ToyEncoder(), image_roots=[folder]) as opened:
        opened.add(corpus)
        yield opened


@pytest.fixture(scope="module")
def far(near: SemanticSpace, folder: Path) -> Iterator[SemanticSpace]:
    """The same, as a service gives it."""
    with (
        serving(create_app({"far": near})) as url,
        SemanticSpace.connect(url, image_roots=[folder]) as opened,
    ):
        yield opened


@pytest.fixture(scope="module")
def space(request: pytest.FixtureRequest) -> Any:
    """Whichever the doors are to."""
    return request.getfixturevalue(request.param)


def near_and_far(asked: Sequence[Any], every: int) -> list[Any]:
    """All of the space of this process, and every so many of a service's; the rest is slow."""
    far = [
        pytest.param("far", it, marks=() if n % every == 0 else pytest.mark.slow)
        for n, it in enumerate(asked)
    ]
    return [*(("near", it) for it in asked), *far]


def questions() -> list[Question]:
    """Each mode with many mixtures of the other parts."""
    chance = random.Random(11)
    made = []
    for mode, text, _ in itertools.product(MODES, TEXTS, range(2)):
        parts = {name: chance.choice(choices) for name, choices in PARTS.items()}
        if mode.get("mode") == "keyword":
            parts["min_score"] = None  # which is refused, by everybody
        made.append(Question(text=text, **mode, **parts))
    return made


@pytest.mark.parametrize(
    ("space", "question"), near_and_far(questions(), every=5), indirect=["space"], ids=str
)
def test_every_door_gives_what_the_space_gives(
    near: SemanticSpace, space: SemanticSpace, question: Question
) -> None:
    (expected,) = Core(near).ask(question)
    assert Core(space).ask(question) == [expected]
    answers = {name: door(space, question) for name, door in DOORS.items()}
    assert sum(answer is not None for answer in answers.values()) >= 10
    for name, answer in answers.items():
        if answer is not None:
            check(answer, expected, name)


WITH_A_PICTURE = [
    (text, mode)
    for text, mode in itertools.product((None, "in red"), MODES)
    if mode.get("mode") != "keyword" and (text is not None or "mode" not in mode)
]


@pytest.mark.parametrize(
    ("space", "asked"), near_and_far(WITH_A_PICTURE, every=6), indirect=["space"], ids=str
)
def test_a_picture_at_every_door(
    near: SemanticSpace,
    space: SemanticSpace,
    folder: Path,
    asked: tuple[str | None, dict[str, Any]],
) -> None:
    text, mode = asked
    for reranker, neighbors in itertools.product((None, ColourReranker()), (0, 1)):
        question = Question(
            text=text, image=folder / "blue.png", text_weight=0.3, reranker=reranker,
            neighbors=neighbors, **mode,
        )  # fmt: skip
        (expected,) = Core(near).ask(question)
        assert Core(space).ask(question) == [expected]
        answers = {name: door(space, question) for name, door in DOORS.items()}
        assert sum(answer is not None for answer in answers.values()) >= 7
        for name, answer in answers.items():
            if answer is not None:
                check(answer, expected, name)


@pytest.mark.parametrize(
    ("space", "mode"),
    [
        *(("near", "vector"), ("near", "hybrid"), ("far", "hybrid")),
        pytest.param("far", "vector", marks=pytest.mark.slow),
    ],
    indirect=["space"],
)
def test_what_a_reranker_makes_of_the_candidates(
    space: SemanticSpace, corpus: Sequence[Record], mode: Any
) -> None:
    """By brute force: the best candidates, the greatest scores first, ties by id."""
    oracle = Oracle(list(space.embed(corpus)))
    by_id = {record.id: record for record in corpus}
    for text in TEXTS:
        question = Question(text=text, mode=mode, k=6, fetch_k=12, reranker=ColourReranker())
        vector = vector_of(space, replace(question, mode="vector"))
        candidates = oracle.by_vector(vector, oracle.chosen())[:12]
        if mode == "hybrid":
            by_keyword = oracle.by_keyword(text, oracle.chosen())[:12]
            candidates = rank_fused([candidates, by_keyword])
        names = [name for name, _ in candidates]
        judged = ColourReranker().score(text, None, [by_id[name] for name in names]).tolist()
        pairs = [pair for pair in zip(names, judged, strict=True) if not math.isnan(pair[1])]
        (found,) = Core(space).ask(question)
        assert found == sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:6]
        pictures = replace(question, reranker=Reranking(ColourReranker(), modalities=["image"]))
        (found,) = Core(space).ask(pictures)
        shown = [name for name in names if by_id[name].image is not None]
        points = dict(zip(names, judged, strict=True))
        order = iter(sorted(shown, key=lambda name: (-points[name], name)))
        placed = [next(order) if name in shown else name for name in names]
        assert [name for name, _ in found] == placed[:6]


def test_every_public_retriever_engine_and_tool_has_a_door() -> None:
    """A new one fails here until it is asked, too."""
    public = {*langchain_unisem.__all__, *llama_index_unisem.__all__}
    asking = ("Retriever", "Tool", "Index", "VectorStore", "Engine")
    assert {name for name in public if name.endswith(asking)} == {
        "UniSemInlineRetrievalTool",
        "UniSemRetrievalTool",
        "UniSemRetriever",
        "UniSemVectorStore",
        "UniSemIndex",
        "UniSemQueryEngineTool",
        "UniSemRetrieverTool",
    }


def test_questions_have_every_part() -> None:
    made = questions()
    for name in PARTS:
        assert len({repr(getattr(question, name)) for question in made}) == len(PARTS[name])
    assert {field.name for field in fields(Question)} >= PARTS.keys()


def check(answer: Found, expected: Found, name: str) -> None:
    assert [found for found, _ in answer] == [wanted for wanted, _ in expected], name
    for (_, score), (_, wanted) in zip(answer, expected, strict=True):
        assert score is None or score == wanted, name
