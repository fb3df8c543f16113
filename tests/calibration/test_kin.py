"""What is alike of one kind, by brute force; and choices that would cost it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.calibration.synthetic import Corpus, unit
from unisem.calibration import Calibration, Sample, fit_calibration, fitting
from unisem.calibration.trial import KIN, Trial, one_list
from unisem.records import Vector


def test_kin_by_brute_force() -> None:
    """Several pictures of a thing, things without a text, texts without a picture."""
    rng = np.random.default_rng(0)
    texts, images = unit(rng.normal(size=(40, 8))), unit(rng.normal(size=(50, 8)))
    text_groups = np.arange(40) % 36  # four things have two texts
    image_groups = np.arange(50) % 44 + 4  # six have two pictures; some no text, four texts none
    sample = Sample(texts, texts, images, text_groups, image_groups)
    fitted = fit_calibration(sample, fingerprint="ab")
    trial = Trial(fitted, sample)
    judged = trial.judged(fitted.choices, fitted.pairs)
    found = trial.with_kin(judged)
    for kind, rows, groups, others in (
        ("image", texts, image_groups, text_groups),
        ("text", images, text_groups, image_groups),
    ):
        centred = unit(rows - rows.mean(axis=0))
        mean = {group: unit(centred[others == group].sum(axis=0)[None])[0] for group in others}
        known = [place for place, group in enumerate(groups) if group in mean]
        for place in range(len(groups)):
            wanted = set(np.flatnonzero(judged[kind, kind].right[place]).tolist())  # type: ignore[index]
            if place in known:
                rest = [it for it in known if groups[it] != groups[place]]
                rest.sort(key=lambda it: -float(mean[groups[it]] @ mean[groups[place]]))
                wanted |= set(rest[:KIN])
            assert set(np.flatnonzero(found[kind, kind].right[place]).tolist()) == wanted  # type: ignore[index]
    assert found["text", "image"] is judged["text", "image"]


def crowded(count: int, seed: int) -> Sample:
    """Pictures know their crowd well; their captions are vague and a little nearer to all."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(5)
    crowds = fixed.normal(size=(12, 32))
    member = rng.integers(12, size=count)
    own = rng.normal(size=(count, 32))

    def seen(noise: float) -> Vector:
        return unit(crowds[member] + 0.5 * own + noise * rng.normal(size=own.shape))

    texts, images = seen(0.65), seen(0.2)
    numbers = np.arange(count)
    return Sample(texts, texts, images, numbers, numbers)


def test_what_costs_kin_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = crowded(400, 1)
    guarded = fit_calibration(sample, fingerprint="ab")
    monkeypatch.setattr(fitting, "_harms", lambda *_: False)
    bold = fit_calibration(sample, fingerprint="ab")
    assert "image" in bold.choices.scaled
    assert "image" not in guarded.choices.scaled
    other = crowded(400, 2)
    assert places(bold, other) > places(guarded, other) + 0.1
    assert right(guarded, other) > right(bold, other) + 0.02


def test_a_list_of_one_kind_is_no_measure() -> None:
    """Under a gap every kin is found, and no answer: the gap is closed all the same."""
    sample = Corpus.of(500, 0.9, 2).sample
    fitted = fit_calibration(sample, fingerprint="ab")
    assert fitted.choices.centred
    assert places(fitted, sample) > 0.2


def _scores(calibration: Calibration, sample: Sample) -> np.ndarray:
    rows = np.vstack([sample.texts, sample.images])
    is_image = np.arange(len(rows)) >= len(sample.texts)
    scores = calibration.scores(sample.images, "image", rows, is_image)
    count = len(sample.images)
    scores[np.arange(count), len(sample.texts) + np.arange(count)] = -np.inf
    return scores


def places(calibration: Calibration, sample: Sample) -> float:
    """Share of the first ten places that texts have when pictures ask."""
    top = np.argsort(-_scores(calibration, sample), axis=1)[:, :10]
    return float((top < len(sample.texts)).mean())


def right(calibration: Calibration, sample: Sample) -> float:
    """nDCG@10 of a picture's caption and kin."""
    plain = replace(calibration, choices=fitting.RAW)
    judged = Trial(plain, sample).with_kin(
        Trial(plain, sample).judged(calibration.choices, calibration.pairs)
    )
    return float(one_list(judged, "image").ndcg().mean())
