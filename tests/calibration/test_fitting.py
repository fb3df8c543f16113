"""What is fitted, what it cures, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.calibration.synthetic import Corpus, unit
from unisem.calibration import (
    Calibration,
    Choices,
    DocumentKind,
    PairChoice,
    Sample,
    fit_calibration,
)
from unisem.calibration.artefact import packed
from unisem.calibration.kinds import SIDES
from unisem.calibration.reference import scaled
from unisem.errors import CalibrationError

GAP = 0.6


@pytest.fixture(scope="module")
def gapped() -> Corpus:
    return Corpus.of(1000, GAP, 1)


@pytest.fixture(scope="module")
def flat() -> Corpus:
    return Corpus.of(1000, 0, 1)


@pytest.fixture(scope="module")
def fitted() -> Calibration:
    return fit_calibration(Corpus.of(500, GAP, 2).sample, fingerprint="ab")


def test_a_gap_is_closed(gapped: Corpus, flat: Corpus, fitted: Calibration) -> None:
    without_gap = flat.ndcg(None)
    assert gapped.ndcg(None) <= 0.6 * without_gap
    assert gapped.ndcg(fitted) >= 0.95 * without_gap
    assert fitted.choices.centred


def test_without_a_gap_nothing_changes(flat: Corpus) -> None:
    fitted = fit_calibration(Corpus.of(500, 0, 2).sample, fingerprint="ab")
    assert abs(flat.ndcg(fitted) - flat.ndcg(None)) <= 0.005


@pytest.mark.parametrize("kind", SIDES)
def test_a_list_of_one_kind_loses_nothing(
    gapped: Corpus, fitted: Calibration, kind: DocumentKind
) -> None:
    """A space of one kind cannot be calibrated; this one took a calibration from elsewhere."""
    assert gapped.ndcg(fitted, only=kind) >= gapped.ndcg(None, only=kind) - 0.005


def test_hub_bias_adds_to_centring(gapped: Corpus, fitted: Calibration) -> None:
    centred = replace(
        fitted,
        choices=Choices(scaled=()),
        pairs=dict.fromkeys(fitted.pairs, PairChoice()),
    )
    both = replace(centred, pairs=dict.fromkeys(fitted.pairs, PairChoice(alpha=0.75, k=128)))
    assert gapped.ndcg(both) >= gapped.ndcg(centred)


def test_vectors_that_mean_nothing_are_left_alone() -> None:
    rng = np.random.default_rng(3)
    apart = unit(rng.normal(size=(1, 32)))
    texts, images = (unit(rng.normal(size=(300, 32)) + way * 5 * apart) for way in (1, -1))
    numbers = np.arange(300)
    fitted = fit_calibration(Sample(texts, texts, images, numbers, numbers), fingerprint="ab")
    assert not fitted.choices.centred
    assert not fitted.choices.scaled
    assert {pair.alpha for pair in fitted.pairs.values()} == {0}


def test_without_captions_the_gap_is_closed_by_the_defaults(gapped: Corpus) -> None:
    sample = Corpus.of(300, GAP, 2).sample
    alone = replace(sample, image_groups=sample.image_groups + len(sample.texts))
    fitted = fit_calibration(alone, fingerprint="ab")
    assert fitted.choices == Choices()
    assert fitted.pairs["text", "image"].slope is None
    assert gapped.ndcg(fitted) >= 0.9 * gapped.ndcg(None) / 0.5


def test_few_pictures_among_many_texts_are_seen(gapped: Corpus) -> None:
    sample = Corpus.of(3000, GAP, 2).sample
    few = replace(sample, images=sample.images[:100], image_groups=sample.image_groups[:100])
    fitted = fit_calibration(few, fingerprint="ab")
    assert fitted.pairs["image", "text"].queries in (0, 100)
    assert fitted.choices.queries == 200  # each of the hundred and its caption
    assert gapped.ndcg(fitted) >= 0.9 * gapped.ndcg(None) / 0.5


def test_where_all_hang_together_nothing_tells() -> None:
    sample = Corpus.of(40, GAP, 2).sample
    one = np.zeros(40, np.int64)
    together = replace(sample, text_groups=one, image_groups=one)
    assert fit_calibration(together, fingerprint="ab").choices == Choices()


def test_a_fit_is_the_same_again() -> None:
    sample = Corpus.of(100, GAP, 2).sample
    one, other = (fit_calibration(sample, fingerprint="ab", seed=4) for _ in range(2))
    assert one.pairs == other.pairs
    assert one.choices == other.choices
    for kind, reference in one.queries_of.items():
        np.testing.assert_array_equal(reference.bank, other.queries_of[kind].bank)


def test_a_mean_of_few_is_drawn_to_zero() -> None:
    rng = np.random.default_rng(5)
    none = Corpus.of(40, 0, 6).sample  # around nothing in particular
    fitted = fit_calibration(replace(none, images=unit(rng.normal(size=(40, 64)))), fingerprint="a")
    assert np.linalg.norm(fitted.documents_of["image"].mean) < 0.1
    assert np.linalg.norm(none.images.mean(axis=0)) > 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"texts": "few"}, "32 texts"),
        ({"images": "none"}, "there are 0 of pictures"),
        ({"images": "nan"}, "picture's vector, number 3, is not finite"),
        ({"texts": "long"}, "text's vector, number 3, is not finite or not of length 1"),
        ({"image_groups": "short"}, "number of its group"),
        ({"images": "narrow"}, "one dimension"),
    ],
)
def test_bad_samples_are_refused(change: dict[str, str], message: str) -> None:
    sample = Corpus.of(40, GAP, 2).sample
    ((name, how),) = change.items()
    rows = getattr(sample, name).copy()
    match how:
        case "few":
            rows = rows[:31]
        case "none":
            rows = rows[:0]
        case "short":
            rows = rows[:-1]
        case "narrow":
            rows = rows[:, :-1]
        case _:
            rows[3] = np.nan if how == "nan" else 2 * rows[3]
    with pytest.raises(CalibrationError, match=message):
        fit_calibration(replace(sample, **{name: rows}), fingerprint="ab")


def test_what_is_said_to_be_likely_is_so(fitted: Calibration) -> None:
    """Questions never seen, with their answer and without; half of the first hits are right."""
    asked = Corpus.of(500, GAP, 7)
    searched = fitted.documents(asked.images, np.ones(500, bool))
    said, right = [], []
    for row, question in enumerate(fitted.queries(asked.texts, "text")):
        scores = searched @ question.vector
        for answer in (0.0, -2.0):
            scores[row] += answer
            chances = question.scale("image").relevance(scores)
            assert chances is not None
            said.append(chances.max())
            right.append(chances.argmax() == row)
    places = np.minimum((np.array(said) * 10).astype(int), 9)
    off = np.array(said) - right
    assert sum(abs(off[places == one].sum()) for one in range(10)) / len(said) <= 0.1
    assert np.mean(right) == pytest.approx(np.mean(said), abs=0.1)


def test_fused_vectors_change_nothing_for_texts_and_pictures() -> None:
    """They are seen from a mean of their own; too few of them are as none."""
    gapped = Corpus.of(200, GAP, 3)
    fused = scaled(gapped.texts + gapped.images)
    without = fit_calibration(gapped.sample, fingerprint="ab")
    few = fit_calibration(replace(gapped.sample, fused=fused[:31]), fingerprint="ab")
    found = fit_calibration(replace(gapped.sample, fused=fused), fingerprint="ab")
    assert packed(few) == packed(without)
    assert found.documents_of["both"].count == len(fused)
    assert found.choices == without.choices
    for pair, choice in without.pairs.items():
        assert found.pairs[pair] == choice
    for kind in SIDES:
        np.testing.assert_array_equal(
            found.documents_of[kind].mean, without.documents_of[kind].mean
        )
    for asked in ("text", "image", "both"):
        alphas = [found.pairs[asked, kind].alpha for kind in SIDES]  # type: ignore[index]
        assert found.pairs[asked, "both"].alpha == min(alphas)  # type: ignore[index]
    searched = found.documents(fused, np.full(len(fused), 2))
    centred = scaled(fused - found.documents_of["both"].mean)
    if found.choices.centred:
        np.testing.assert_allclose(searched[:, : found.dimension], centred, atol=1e-6)
    as_pictures = without.documents(fused, np.full(len(fused), 2))
    np.testing.assert_array_equal(as_pictures, without.documents(fused, np.full(len(fused), 1)))
