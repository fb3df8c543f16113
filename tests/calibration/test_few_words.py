"""Probabilities where nothing belongs together: few words of texts, and odds of a like pair."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.calibration.synthetic import Corpus
from unisem.calibration import Choices, FewWords, Sample, fit_calibration
from unisem.calibration.borrowing import borrowed
from unisem.calibration.few_words import few_words_of
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
    off, places = np.array(said) - so, np.minimum((np.array(said) * 10).astype(int), 9)
    assert sum(abs(off[places == one].sum()) for one in range(10)) / len(said) <= 0.1


@pytest.mark.slow
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


def test_odds_are_borrowed_by_how_far_a_hit_stands_out() -> None:
    """So many deviations above its query's nearest tenth it is as probable, whatever it is."""
    fitted = fit_calibration(sample(few=False), fingerprint="ab")
    told = replace(fitted.pairs["text", "image"], slope=1.5, intercept=-3.0, candidates=50)
    nothing = {pair: replace(it, slope=None, evidence=None) for pair, it in fitted.pairs.items()}
    across = {("text", "image"): told, ("image", "text"): replace(told, intercept=-9.0)}
    outstanding = {pair: replace(it, score="standard", nearness=0.0) for pair, it in across.items()}
    pairs = borrowed({**nothing, **across}, {**nothing, **outstanding})
    assert {pair: pairs[pair] for pair in across} == across
    for scaled in (("text", "image", "both"), ()):
        choices = Choices(scaled=scaled)  # type: ignore[arg-type]
        found = replace(fitted, choices=choices, pairs=pairs)
        for asked, kind, intercept in (
            ("text", "text", -3),
            ("image", "image", -9),
            ("both", "text", -9),  # the lower of the two
            ("both", "image", -9),
        ):
            vectors = CORPUS.questions if asked == "text" else CORPUS.images
            for query in found.queries(vectors[:5], asked):  # type: ignore[arg-type]
                middle, spread = query.cohort(kind)  # type: ignore[arg-type]
                scores = middle + spread * np.array([0.0, 2.0, 4.0])
                chances = query.scale(kind, candidates=50).relevance(scores)  # type: ignore[arg-type]
                expected = 1 / (1 + np.exp(-intercept - 1.5 * np.array([0, 2, 4])))
                np.testing.assert_allclose(chances, expected, rtol=1e-6)


def test_odds_that_something_tells_are_of_the_product() -> None:
    """What hub bias usually takes off is put back, and who is near to everything has less odds."""
    fitted = fit_calibration(sample(), fingerprint="ab")
    pair = replace(fitted.pairs["text", "image"], alpha=0.5, k=8)
    assert (pair.evidence, pair.score) == ("pairs", "product")
    assert pair.slope is not None
    assert pair.nearness < 0
    biased = replace(fitted, pairs={**fitted.pairs, ("text", "image"): pair})
    images = biased.documents(biased.documents_of["image"].bank, np.ones(400, bool))
    questions = biased.queries_of["text"]
    seen = questions.centred(questions.bank)
    taken = 0.5 * np.sort(images[:, :-3] @ seen.T)[:, -8:].mean()
    assert biased.usual_bias["text", "image"] == pytest.approx(taken, rel=1e-4)
    assert fitted.usual_bias["text", "text"] == 0
    scores = np.array([0.1, 0.4])
    for query in biased.queries(CORPUS.questions[:3], "text"):
        near = np.sort(images @ query.vector)[-40:].mean() + taken  # a tenth of 400
        odds = pair.slope * (scores + taken) + pair.nearness * near + pair.intercept
        odds -= np.log(300 / pair.candidates)
        chances = query.scale("image", candidates=300).relevance(scores)
        np.testing.assert_allclose(chances, 1 / (1 + np.exp(-odds)), rtol=1e-3)


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
