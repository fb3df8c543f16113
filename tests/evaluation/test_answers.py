"""Answers against sorting everything by hand."""

from __future__ import annotations

import numpy as np
import pytest

from unisem import Record
from unisem.evaluation import RetrievalTask
from unisem.evaluation import answers as module
from unisem.evaluation.answers import Answers
from unisem.evaluation.embeddings import Embeddings
from unisem.images.reference import ImageRef

PIXELS = ImageRef(data=b"never opened")


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def case(seed: int) -> tuple[RetrievalTask, Embeddings]:
    """A mixed list with many equal vectors, so with many ties."""
    rng = np.random.default_rng(seed)
    few = unit(rng.standard_normal((12, 16)))
    records: list[Record] = []
    texts: dict[str, np.ndarray] = {}
    images: dict[str, np.ndarray] = {}
    for number in rng.permutation(60):
        name = f"c{number:02}"
        text = f"text {number}" if number % 3 else None
        image = PIXELS if number % 3 != 1 else None
        records.append(Record(id=name, text=text, image=image))
        if text:
            texts[text] = few[rng.integers(len(few))]
        if image:
            images[name] = few[rng.integers(len(few))]
    asked = [Record(id=f"q{number}", text=f"query {number}") for number in range(30)]
    queries = dict(
        zip((q.text or "" for q in asked), unit(rng.standard_normal((30, 16))), strict=True)
    )
    relevant = tuple(
        {f"c{n:02}": float(rng.integers(1, 4)) for n in rng.choice(60, rng.integers(1, 6), False)}
        for _ in asked
    )
    task = RetrievalTask("t", tuple(asked), tuple(records), relevant, np.arange(30))
    return task, Embeddings(queries, texts, images, {}, 0.0)


@pytest.mark.parametrize("at_once", [8_000_000, 200])
def test_equals_sorting_by_score_and_id(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(module, "_SCORES_AT_ONCE", at_once)
    task, embeddings = case(0)
    answers = Answers.of(task, embeddings)
    ties = 0
    for number, query in enumerate(task.queries):
        vector = embeddings.queries[query.text or ""].astype(np.float64)
        scored = []
        for record in task.candidates:
            rows = [embeddings.texts[record.text]] if record.text else []
            rows += [embeddings.images[record.id]] if record.image else []
            scored.append((max(float(np.float32(row @ vector)) for row in rows), record.id))
        expected = sorted(scored, key=lambda hit: (-hit[0], hit[1]))
        ties += len(scored) - len({score for score, _ in scored})
        names = [name for _, name in expected]
        assert [task.candidates[at].id for at in answers.top[number]] == names[:10]
        np.testing.assert_allclose(answers.scores[number], [s for s, _ in expected[:10]], 1e-6)
        ranks = sorted(names.index(name) + 1 for name in task.relevant[number])
        assert answers.ranking.ranks[number].tolist() == ranks
        wanted = task.candidates[answers.wanted[number]].id
        assert names.index(wanted) + 1 == ranks[0]
        assert answers.wanted_scores[number] == pytest.approx(expected[ranks[0] - 1][0])
        assert answers.ranking.gains is not None
        assert answers.ranking.gains[number].tolist() == [
            task.relevant[number][names[rank - 1]] for rank in ranks
        ]
    assert ties > 500


def test_differences_below_float32_are_ties() -> None:
    """What a matrix product's order of summation leaves must not decide a rank."""
    records = (Record(id="a", text="a"), Record(id="b", text="b"))
    vectors = {
        "a": np.array([1, 0], np.float32),
        "b": np.array([1, 1e-10], np.float32),  # better by a hundredth of float32's step
        "q": np.array([0.8, 0.6], np.float32),
    }
    task = RetrievalTask("t", (Record(id="q", text="q"),), records, ({"b": 1.0},), np.array([0]))
    answers = Answers.of(task, Embeddings(vectors, vectors, {}, {}, 0.0))
    assert answers.top.tolist() == [[0, 1]]
    assert answers.ranking.first.tolist() == [2]


def test_fewer_candidates_than_places() -> None:
    records = (Record(id="b", text="b"), Record(id="a", text="a"))
    vectors = {"a": np.array([1, 0], np.float32), "b": np.array([1, 0], np.float32)}
    task = RetrievalTask("t", records[:1], records, ({"b": 1.0},), np.array([0]))
    answers = Answers.of(task, Embeddings(vectors, vectors, {}, {}, 0.0))
    assert [task.candidates[at].id for at in answers.top[0]] == ["a", "b"]
    assert answers.ranking.first.tolist() == [2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"relevant": ({},)}, "needs relevant candidates"),
        ({"relevant": ({"x": 1.0},)}, "all of them among the candidates"),
        ({"relevant": ()}, "1 queries, 0 sets"),
        ({"groups": np.arange(2)}, "2 groups"),
        ({"candidates": (Record(id="a", text="a"), Record(id="a", text="b"))}, "the same id"),
    ],
)
def test_a_task_that_means_nothing(change: dict[str, object], message: str) -> None:
    parts = {
        "name": "mine",
        "queries": (Record(id="q", text="q"),),
        "candidates": (Record(id="a", text="a"),),
        "relevant": ({"a": 1.0},),
        "groups": np.array([0]),
    }
    RetrievalTask(**parts)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message) as caught:
        RetrievalTask(**(parts | change))  # type: ignore[arg-type]
    assert "'mine'" in str(caught.value)
