"""Probabilities where nothing belongs together: few words of texts, and odds of a like pair."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.calibration.synthetic import Corpus
from unisem.calibration import Calibration, Choices, FewWords, Sample, fit_calibration
from unisem.calibration.borrowing import borrowed
from unisem.calibration.few_words import few_words_of
from unisem.calibration.kinds import DOCUMENT_KINDS
from unisem.errors import CalibrationError

CORPUS = Corpus.of(400, 0.6, 3)


def sample(*, captioned: bool = True, few: bool = True) -> Sample:
    numbers = np.arange(len(CORPUS.texts))
    return Sample(
        CORPUS.texts,
        CORPUS.texts,
        CORPUS.images,
        numbers,
        numbers if captioned else numbers + len(numbers),
        few_words=FewWords(CORPUS.questions, numbers) if few else None,
    )


def test_words_that_say_something_are_drawn() -> None:
    texts = [f"the red card number{n} of a-b{n} house{n % 25}" for n in range(100)]
    texts += ["the red card", "", "alone-word the red", "word " * 10_000]
    drawn = few_words_of(texts, np.random.default_rng(0))
    assert drawn[100:] == [None] * 4
    counts = set()
    for text, asked in zip(texts[:100], drawn[:100], strict=True):
        assert asked is not None
        words = asked.split()
        assert not {"the", "red", "card", "of"} & set(words)
        assert [word for word in text.split() if word in words] == words, "in their order"
        counts.add(len(words))
    assert counts == {1, 2}  # of three that say something one is kept back
    assert few_words_of(texts, np.random.default_rng(0)) == drawn
    assert few_words_of(texts, np.random.default_rng(1)) != drawn


def test_those_of_some_texts_are_numbered_anew() -> None:
    few = FewWords(np.eye(4, dtype=np.float32), np.array([0, 2, 3, 5]))
    some = few.of(np.array([False, True, True, True, False, True]))
    np.testing.assert_array_equal(some.owners, [1, 2, 3])
    np.testing.assert_array_equal(some.asked, np.eye(4, dtype=np.float32)[1:])


def test_what_is_said_of_texts_is_so() -> None:
    """Questions to other texts of the same making: the share that is right is what is said."""
    fitted = fit_calibration(sample(), fingerprint="ab")
    assert fitted.pairs["text", "text"].evidence == "few words"
    other = Corpus.of(400, 0.6, 8)
    searched = fitted.documents(other.texts, np.zeros(400, bool))
    said, so = [], []
    for number, query in enumerate(fitted.queries(other.questions, "text")):
        products = searched @ query.vector
        for gone in (False, True):
            if gone:
                products[number] = -np.inf
            first = int(products.argmax())
            chance = query.scale("text", candidates=400).relevance(products[first : first + 1])
            assert chance is not None
            said.append(float(chance[0]))
            so.append(first == number)
    assert 0.2 < np.mean(so) < 0.8
    for low in (0.0, 0.5):
        here = [place for place, value in enumerate(said) if low <= value < low + 0.5001]
        assert len(here) > 50
        assert np.mean([said[place] for place in here]) == pytest.approx(
            np.mean([so[place] for place in here]), abs=0.08
        )


def test_without_any_the_other_pair_tells() -> None:
    told = {
        pair: it.evidence
        for pair, it in fit_calibration(sample(few=False), fingerprint="ab").pairs.items()
    }
    assert told["text", "image"] == told["image", "text"] == "pairs"
    assert {told["text", "text"], told["image", "image"], told["both", "image"]} == {"other pair"}
    alone = fit_calibration(sample(captioned=False), fingerprint="ab").pairs
    assert alone["text", "text"].evidence == "few words"
    assert alone["text", "image"].evidence == "other pair"
    assert alone["image", "text"].slope is None
    assert alone["both", "text"].slope is None
    nothing = fit_calibration(sample(captioned=False, few=False), fingerprint="ab").pairs
    assert all(choice.slope is None and choice.evidence is None for choice in nothing.values())


@pytest.mark.parametrize("scaled", [("text", "image", "both"), ()])
def test_a_standard_score_means_the_same_for_a_like_pair(scaled: tuple[str, ...]) -> None:
    """Of each query where its scores are standard ones, else on the mean over queries."""
    fitted = fit_calibration(sample(few=False), fingerprint="ab")
    pairs = {
        pair: replace(it, slope=1.5, intercept=-3.0, candidates=50, evidence="pairs")
        if pair in (("text", "image"), ("image", "text"))
        else replace(it, slope=None, evidence=None)
        for pair, it in fitted.pairs.items()
    }
    choices = Choices(scaled=scaled)  # type: ignore[arg-type]
    found = replace(
        fitted, choices=choices, pairs=borrowed(pairs, replace(fitted, choices=choices))
    )

    def odds(calibration: Calibration, kind: str, standard: float) -> float:
        """Mean log-odds of hits with this standard score, over queries of texts."""
        scaled = replace(calibration, choices=Choices(scaled=("text",)))
        bank = calibration.queries_of["text"].bank
        values = []
        for query, plain in zip(
            scaled.queries(bank, "text"), calibration.queries(bank, "text"), strict=True
        ):
            line = query.scale(kind)  # type: ignore[arg-type]
            product = np.array([line.middle + standard * line.spread])
            chance = plain.scale(kind, candidates=50).relevance(product)  # type: ignore[arg-type]
            assert chance is not None
            values.append(np.log(chance[0] / (1 - chance[0])))
        return float(np.mean(values))

    for standard in (0.0, 2.0, 4.0):
        one, other = (odds(found, kind, standard) for kind in DOCUMENT_KINDS)
        assert one == pytest.approx(other, abs=1e-5 if scaled else 0.05)
    assert found.pairs["text", "text"].candidates == 50
    steep = {**pairs, ("image", "text"): replace(pairs["image", "text"], intercept=-9.0)}
    cautious = borrowed(steep, replace(fitted, choices=Choices()))
    assert cautious["both", "image"].intercept == cautious["image", "image"].intercept == -9.0


def test_misshapen_ones_are_refused() -> None:
    good = sample()
    few = good.few_words
    assert few is not None
    for asked, owners in (
        (few.asked[:, :5], few.owners),
        (few.asked[1:], few.owners),
        (few.asked, few.owners + 1),
        (few.asked, few.owners - 1),
    ):
        with pytest.raises(CalibrationError, match="few words"):
            fit_calibration(replace(good, few_words=FewWords(asked, owners)), fingerprint="ab")
    broken = few.asked.copy()
    broken[3] = np.nan
    with pytest.raises(CalibrationError, match="query of few words, number 3"):
        fit_calibration(replace(good, few_words=FewWords(broken, few.owners)), fingerprint="ab")
