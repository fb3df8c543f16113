"""The measures of benchmarks.mixed against what they are by definition."""

from __future__ import annotations

import numpy as np

from benchmarks.mixed import WAYS, ask, sample_of
from benchmarks.mixed_data import Things
from benchmarks.mixed_heads import Heads
from benchmarks.mixed_relevance import _placements, reliability
from tests.calibration.synthetic import Corpus
from unisem.calibration import fit_calibration


def things(count: int, seed: int) -> Things:
    corpus = Corpus.of(count, 0.6, seed)
    return Things(corpus.questions, corpus.texts, corpus.images, corpus.images)


def test_raw_is_the_cosine() -> None:
    asked = things(60, 1)
    fitted = fit_calibration(sample_of(things(60, 2), same_words=False), fingerprint="ab")
    is_image = np.ones(60, bool)
    scores = WAYS["raw"](fitted).scores(asked.questions, "text", asked.images, is_image)
    np.testing.assert_allclose(scores, asked.questions @ asked.images.T, atol=1e-6)


def test_a_third_is_each_form_and_all_are_asked_for_by_text() -> None:
    asked = things(60, 1)
    fitted = fit_calibration(sample_of(things(60, 2), same_words=False), fingerprint="ab")
    by_text = ask(WAYS["raw"](fitted), asked, "text", 0, "max")
    assert np.bincount(by_text.form).tolist() == [20, 20, 20]
    assert not np.isnan(by_text.ndcg).any()
    assert by_text.shares.sum() == 1
    by_image = ask(WAYS["raw"](fitted), asked, "image", 0, "max")
    np.testing.assert_array_equal(~np.isnan(by_image.ndcg), by_image.form == 0)


def test_the_area_is_the_share_of_pairs_in_order() -> None:
    rng = np.random.default_rng(0)
    there, gone = rng.integers(0, 5, 40) / 4, rng.integers(0, 5, 30) / 4
    pairs = (there[:, None] > gone) + 0.5 * (there[:, None] == gone)
    np.testing.assert_allclose(_placements(there, gone), pairs.mean(axis=1))


def test_honest_chances_have_no_error() -> None:
    said = np.repeat([0.25, 0.75], 400)
    so = np.concatenate([np.arange(400) % 4 == 0, np.arange(400) % 4 != 0])
    error, rows = reliability(said, so)
    assert error == 0
    assert rows == [(0.25, 0.25, 400), (0.75, 0.75, 400)]
    assert abs(reliability(said, np.ones(800, bool))[0] - 0.5) < 1e-12


def test_trained_heads_find_what_random_ones_do_not() -> None:
    seen = things(512, 3)
    found = []
    for heads in (Heads.random(seen, 0), Heads.trained(seen, 0.05, 0)):
        embedded = heads.embed(seen)
        likeness = embedded.questions @ embedded.images.T
        found.append((likeness.argmax(axis=1) == np.arange(512)).mean())
    assert found[0] < 0.05
    assert found[1] > 0.3
