"""Hubs, the gap and the plot, against other people's formulas and known constructions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from unisem import Record
from unisem.evaluation import RetrievalTask
from unisem.evaluation.answers import Answers
from unisem.evaluation.embeddings import Embeddings
from unisem.evaluation.geometry import Geometry
from unisem.evaluation.hubness import Hubness
from unisem.evaluation.projection import SIDE, Plot, Projection
from unisem.images.reference import ImageRef


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def asked(documents: np.ndarray, queries: np.ndarray, kinds: list[str]) -> Answers:
    records = tuple(
        Record(
            id=f"d{number:03}",
            text=None if kind == "image" else f"d{number}",
            image=None if kind == "text" else ImageRef(data=b"x"),
        )
        for number, kind in enumerate(kinds)
    )
    rows = unit(documents)
    texts = {record.text: row for record, row in zip(records, rows, strict=True) if record.text}
    images = {r.id: row for r, row in zip(records, rows, strict=True) if r.image}
    people = tuple(Record(id=f"q{n}", text=f"q{n}") for n in range(len(queries)))
    wanted = tuple({"d000": 1.0} for _ in people)
    task = RetrievalTask("t", people, records, wanted, np.arange(len(people)))
    vectors = dict(zip((one.text or "" for one in people), unit(queries), strict=True))
    return Answers.of(task, Embeddings(vectors, texts, images, {}, 0.0))


def test_hubness_by_its_formulas() -> None:
    rng = np.random.default_rng(0)
    kinds = [("text", "image", "captioned image")[n % 3] for n in range(90)]
    documents = rng.standard_normal((90, 12)) + 0.8 * np.eye(12)[0]
    answers = asked(documents, rng.standard_normal((50, 12)) + np.eye(12)[0], kinds)
    hubness = Hubness.of(answers)
    occurrence = np.zeros(90)
    found = dict.fromkeys(("text", "image", "captioned image"), 0)
    for row in answers.top:
        for position in row:
            occurrence[position] += 1
            found[kinds[position]] += 1
    differences = np.abs(occurrence[:, None] - occurrence[None]).mean()
    assert hubness.gini == pytest.approx(differences / (2 * occurrence.mean()))
    assert hubness.skewness == pytest.approx(stats.skew(occurrence))
    assert hubness.largest == occurrence.max() / 50
    assert hubness.hub == f"d{occurrence.argmax():03}"
    assert hubness.never == (occurrence == 0).mean()
    assert hubness.found == {kind: count / 500 for kind, count in found.items()}
    assert hubness.present == dict.fromkeys(found, pytest.approx(1 / 3))


def test_even_and_uneven_places() -> None:
    even = Hubness.of(asked(np.eye(10), np.eye(10), ["text"] * 10))  # ten candidates, ten places
    assert (even.gini, even.skewness, even.largest, even.never) == (0.0, 0.0, 1.0, 0.0)
    rng = np.random.default_rng(1)
    documents = rng.standard_normal((200, 32))
    queries = rng.standard_normal((100, 32))
    plain = Hubness.of(asked(documents, queries, ["text"] * 200))
    documents[7] = queries.mean(axis=0)  # the text that is near to everything
    documents[7] *= 10
    pulled = queries + 2 * queries.mean(axis=0) / np.linalg.norm(queries.mean(axis=0))
    hub = Hubness.of(asked(documents, pulled, ["text"] * 200))
    assert hub.hub == "d007"
    assert hub.largest > 3 * plain.largest
    assert hub.skewness > plain.skewness + 1


def test_geometry_of_a_known_gap() -> None:
    rng = np.random.default_rng(2)
    numbers = np.arange(300)
    cloud = rng.standard_normal((600, 24)).astype(np.float32) / 24**0.5
    together = Geometry.of(cloud[:300], cloud[300:], numbers, numbers)
    assert together.centroid_distance < 0.15
    assert together.separability == pytest.approx(0.5, abs=0.06)
    shift = np.zeros(24, np.float32)
    shift[3] = 0.8
    apart = Geometry.of(cloud[:300] + shift, cloud[300:], numbers, numbers)
    assert apart.centroid_distance == pytest.approx(0.8, abs=0.15)
    assert apart.separability is not None
    assert apart.separability > 0.95


def test_separability_agrees_with_scikit_learn() -> None:
    """Overlapping clouds, unequal numbers of pictures and captions."""
    rng = np.random.default_rng(3)
    images = unit(rng.standard_normal((400, 16)) + 0.6 * np.eye(16)[0])
    texts = unit(rng.standard_normal((1000, 16)) * np.linspace(0.5, 1.5, 16))
    ours = Geometry.of(images, texts, np.arange(400), np.arange(1000)).separability
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.01, priors=[0.5, 0.5])
    rows, kinds = np.concatenate([images, texts]), np.repeat([1, 0], [400, 1000])
    half = rng.random(1400) < 0.5
    theirs.fit(rows[half], kinds[half])
    right = theirs.predict(rows[~half]) == kinds[~half]
    expected = np.mean([right[kinds[~half] == kind].mean() for kind in (0, 1)])
    assert 0.6 < expected < 0.9
    assert ours == pytest.approx(expected, abs=0.05)


def test_separability_is_of_held_out_vectors() -> None:
    """With as many dimensions as vectors, what was trained on is always told apart."""
    rows = unit(np.random.default_rng(6).standard_normal((160, 160)))
    found = Geometry.of(rows[:80], rows[80:], np.arange(80), np.arange(80)).separability
    assert found == pytest.approx(0.5, abs=0.15)


def test_one_group_cannot_be_held_out() -> None:
    rows = unit(np.random.default_rng(0).standard_normal((4, 8)))
    assert Geometry.of(rows, rows, np.zeros(4, int), np.zeros(4, int)).separability is None


def test_projection_is_pca() -> None:
    rng = np.random.default_rng(4)
    images = rng.standard_normal((40, 10)).astype(np.float32) + 2 * np.eye(10, dtype="f4")[1]
    texts = rng.standard_normal((40, 10)).astype(np.float32)
    ours = Projection.of(images, texts, ("a",) * 40)
    pca = PCA(2).fit(np.concatenate([images, texts]))
    theirs = pca.transform(np.concatenate([images, texts]))
    flat = np.concatenate([ours.images, ours.texts])
    np.testing.assert_allclose(np.abs(flat), np.abs(theirs), atol=1e-5)
    np.testing.assert_allclose(ours.explained, pca.explained_variance_ratio_, atol=1e-6)
    assert (ours.images.mean(axis=0) >= ours.texts.mean(axis=0)).all()


def test_plot_keeps_distances_and_stays_inside() -> None:
    rng = np.random.default_rng(5)
    projection = Projection.of(
        rng.standard_normal((200, 6)).astype(np.float32),
        rng.standard_normal((200, 6)).astype(np.float32) * 3,
        tuple(map(str, range(200))),
    )
    plot = Plot.of(projection)
    points = np.array([(point.x, point.y) for point in (*plot.images, *plot.texts)])
    assert points.min() >= 0
    assert points.max() <= SIDE
    flat = np.concatenate([projection.images, projection.texts])
    ratio = np.linalg.norm(points[1:] - points[:-1], axis=1) / np.linalg.norm(
        flat[1:] - flat[:-1], axis=1
    )
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=0.1)
    assert plot.images[3].label == plot.texts[3].label == "3"
    assert 30 <= len(plot.joined) <= 60
    assert all(one.label == other.label for one, other in plot.joined)


def test_equal_vectors_can_be_drawn() -> None:
    rows = np.ones((2, 3), np.float32)
    plot = Plot.of(Projection.of(rows, rows, ("a", "b")))
    assert {(point.x, point.y) for point in plot.images} == {(SIDE / 2, SIDE / 2)}
