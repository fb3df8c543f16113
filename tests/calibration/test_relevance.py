"""Odds of relevance against another logistic regression."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from unisem.calibration.relevance import Odds

RNG = np.random.default_rng(0)
SCORES, NEAR = RNG.normal(size=(2, 600))
RIGHT = RNG.random(600) < 1 / (1 + np.exp(-(2 * SCORES - 1.5 * NEAR - 1)))


@pytest.mark.parametrize("near", [None, NEAR])
def test_they_are_a_logistic_regression_on_targets_of_platt(near: np.ndarray | None) -> None:
    odds = Odds.fitted(SCORES, RIGHT, near)
    assert odds is not None
    yes, no = int(RIGHT.sum()), int((~RIGHT).sum())
    target = np.where(RIGHT, (yes + 1) / (yes + 2), 1 / (no + 2))
    design = np.column_stack([SCORES] if near is None else [SCORES, near])
    peer = LogisticRegression(C=1e3, tol=1e-9, max_iter=1000).fit(
        np.vstack([design, design]),
        np.repeat([1, 0], len(design)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    found = [odds.slope, odds.intercept] + ([] if near is None else [odds.nearness])
    expected = [peer.coef_[0, 0], peer.intercept_[0], *peer.coef_[0, 1:]]
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    if near is None:
        assert odds.nearness == 0


def test_they_never_fall_with_the_score() -> None:
    odds = Odds.fitted(-SCORES, RIGHT, NEAR)
    assert odds is not None
    assert (odds.slope, odds.nearness) == (0, 0)
    chance = 1 / (1 + np.exp(-odds.intercept))
    assert chance == pytest.approx(RIGHT.mean(), abs=1e-3)


def test_few_of_a_label_tell_nothing() -> None:
    for label in (True, False):
        few = np.full(600, not label)
        few[:19] = label
        assert Odds.fitted(SCORES, few) is None
        few[:20] = label
        assert Odds.fitted(SCORES, few) is not None
