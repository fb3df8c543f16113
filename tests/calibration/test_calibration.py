"""Calibrated vectors against the formulas, computed by brute force."""

from __future__ import annotations

from dataclasses import replace

import faiss
import numpy as np
import pytest

from tests.calibration.synthetic import Corpus
from unisem.calibration import (
    EXTRA,
    Calibration,
    Choices,
    DocumentKind,
    PairChoice,
    QueryKind,
    fit_calibration,
)
from unisem.errors import CalibrationError, EncoderMismatchError
from unisem.records import Vector

ALPHA, K = 0.75, 16
CORPUS = Corpus.of(400, 0.6, 1)
ASKED: tuple[QueryKind, ...] = ("text", "image", "both")
FOUND: tuple[DocumentKind, ...] = ("text", "image")


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    fitted = fit_calibration(Corpus.of(200, 0.6, 2).sample, fingerprint="ab")
    pair = PairChoice(alpha=ALPHA, k=K, slope=1.5, intercept=-4.0, candidates=200)
    pairs = dict.fromkeys(fitted.pairs, pair)
    return replace(fitted, choices=Choices(), pairs=pairs)


def centred(rows: Vector, mean: Vector) -> Vector:
    seen = rows.astype(np.float64) - mean
    scaled: Vector = (seen / np.linalg.norm(seen, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def by_formula(calibration: Calibration, asked: QueryKind, queries: Vector) -> Vector:
    """Centred cosine, less the bias: NNN (https://arxiv.org/abs/2410.24114), after GR-CLIP."""
    documents, is_image = CORPUS.mixed
    side = calibration.queries_of[asked]
    seen, bank = centred(queries, side.mean), centred(side.bank, side.mean)
    scores = np.empty((len(queries), len(documents)), np.float32)
    for kind in FOUND:
        here = is_image == (kind == "image")
        rows = centred(documents[here], calibration.documents_of[kind].mean)
        likeness = np.sort(rows @ bank.T, axis=1)[:, -K:]
        scores[:, here] = seen @ rows.T - ALPHA * likeness.mean(axis=1)
    return scores


@pytest.mark.parametrize("asked", ASKED)
def test_the_inner_product_is_the_formula(calibration: Calibration, asked: QueryKind) -> None:
    documents, is_image = CORPUS.mixed
    searched = calibration.documents(documents, is_image)
    assert searched.dtype == np.float32
    assert searched.shape == (len(documents), calibration.index_dimension)
    assert calibration.index_dimension == calibration.dimension + EXTRA
    queries = np.stack([calibration.query(row, asked).vector for row in CORPUS.questions[:50]])
    expected = by_formula(calibration, asked, CORPUS.questions[:50])
    np.testing.assert_allclose(queries @ searched.T, expected, atol=1e-5)


@pytest.mark.parametrize("index", ["flat", "hnsw"])
def test_an_index_finds_what_brute_force_finds(calibration: Calibration, index: str) -> None:
    searched = calibration.documents(*CORPUS.mixed)
    dimension = calibration.index_dimension
    if index == "flat":
        built = faiss.IndexFlatIP(dimension)
    else:
        built = faiss.IndexHNSWFlat(dimension, 32, faiss.METRIC_INNER_PRODUCT)
        built.hnsw.efConstruction = built.hnsw.efSearch = len(searched)
    built.add(searched)
    queries = np.stack([calibration.query(row, "text").vector for row in CORPUS.questions])
    _, found = built.search(queries, 10)
    best = np.argsort(-(queries @ searched.T), axis=1, kind="stable")[:, :10]
    np.testing.assert_array_equal(found, best)


def test_a_scale_rises_and_is_the_nearest_examples(calibration: Calibration) -> None:
    asked = calibration.query(CORPUS.questions[0], "text")
    side = calibration.documents_of["image"]
    bank = calibration.documents(side.bank, np.ones(len(side.bank), bool))
    nearest = np.sort(bank @ asked.vector)[-20:].astype(np.float64)  # a tenth of 200
    scale = asked.scale("image")
    scores = np.linspace(-1, 1, 50)
    expected = (scores - nearest.mean()) / nearest.std()
    np.testing.assert_allclose(scale.comparable(scores), expected, rtol=1e-4)
    chances = scale.relevance(scores)
    assert chances is not None
    bias = calibration.usual_bias["text", "image"]
    odds = 1.5 * (scores + bias) - 4
    np.testing.assert_allclose(chances, 1 / (1 + np.exp(-odds)), rtol=1e-3, atol=1e-9)
    assert (np.diff(chances) >= 0).all()


def test_among_twice_as_many_the_odds_are_half(calibration: Calibration) -> None:
    asked = calibration.query(CORPUS.questions[0], "text")
    scores = np.array([0.2, 0.5])
    odds = []
    for candidates in (None, 200, 400):
        chances = asked.scale("text", candidates=candidates).relevance(scores)
        assert chances is not None
        odds.append(chances / (1 - chances))
    np.testing.assert_allclose(odds[0], odds[1])
    np.testing.assert_allclose(odds[0] / 2, odds[2])


def test_the_best_of_each_kind_merged_are_the_best_of_all(calibration: Calibration) -> None:
    documents, is_image = CORPUS.mixed
    searched = calibration.documents(documents, is_image)
    for asked in calibration.queries(CORPUS.questions[:20], "text"):
        products = searched @ asked.vector
        scores = np.empty(len(products))
        nearest = []
        for kind in FOUND:
            here = np.flatnonzero(is_image == (kind == "image"))
            scores[here] = asked.scale(kind).comparable(products[here])
            nearest.append(here[np.argsort(-products[here], kind="stable")[:10]])
        fetched = np.concatenate(nearest)
        merged = fetched[np.argsort(-scores[fetched], kind="stable")[:10]]
        np.testing.assert_array_equal(merged, np.argsort(-scores, kind="stable")[:10])


def test_without_labels_there_is_no_probability(calibration: Calibration) -> None:
    unknown = replace(calibration, pairs=dict.fromkeys(calibration.pairs, PairChoice()))
    asked = unknown.query(CORPUS.questions[0], "text")
    assert asked.scale("text").relevance(np.zeros(1)) is None


def test_one_vector_is_what_it_is_among_many(calibration: Calibration) -> None:
    documents, is_image = CORPUS.mixed
    searched = calibration.documents(documents, is_image)
    for row in (0, 1, 399):
        alone = calibration.documents(documents[row : row + 1], is_image[row : row + 1])
        np.testing.assert_allclose(alone[0], searched[row], atol=1e-6)
    assert calibration.documents(documents[:0], is_image[:0]).shape == (0, searched.shape[1])


def test_a_vector_at_the_mean_is_found_last_and_breaks_nothing(calibration: Calibration) -> None:
    mean = calibration.documents_of["image"].mean[None]
    assert np.isfinite(calibration.documents(mean, np.array([True]))).all()


def test_drift_is_the_distance_of_means(calibration: Calibration) -> None:
    texts = np.ones(len(CORPUS.images), bool)
    drift = calibration.drift(CORPUS.images, ~texts)
    means = CORPUS.images.mean(axis=0), calibration.documents_of["text"].mean
    assert drift == {"text": pytest.approx(float(np.linalg.norm(means[0] - means[1])))}
    assert calibration.drift(CORPUS.images, texts)["image"] < 0.2


def test_other_vectors_are_refused(calibration: Calibration) -> None:
    with pytest.raises(CalibrationError, match=r"shape \(n, 64\)"):
        calibration.documents(CORPUS.texts[:, :-1], np.zeros(400, bool))
    with pytest.raises(CalibrationError, match="kinds of shape"):
        calibration.documents(CORPUS.texts, np.zeros(399, bool))
    with pytest.raises(CalibrationError, match=r"shape \(n, 64\)"):
        calibration.query(CORPUS.texts[0, :-1], "text")
    with pytest.raises(EncoderMismatchError, match="fit one"):
        calibration.check("cd")
    calibration.check("ab")
