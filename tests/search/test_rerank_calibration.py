"""A reranker's scores as probabilities: fitted to known odds, kept, refused where damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from unisem.errors import CalibrationError
from unisem.search import RerankCalibration


def made(share: float, *, questions: int = 400, seed: int = 0) -> tuple[list, list, list]:  # type: ignore[type-arg]
    """Candidates whose relevance depends on a mixture of both scores, by known odds."""
    generator = np.random.default_rng(seed)
    judged = [generator.normal(3, 2, 20) for _ in range(questions)]
    own = [generator.normal(*generator.uniform((0, 0.01), (0.8, 0.2)), 20) for _ in judged]
    relevant = []
    for one, other in zip(judged, own, strict=True):
        mixed = (1 - share) * (one - 3) / 2 + share * (other - other.mean()) / other.std()
        relevant.append(generator.random(20) < 1 / (1 + np.exp(-(6 * mixed - 9))))
    return judged, own, relevant


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_the_share_and_the_probabilities_are_found(share: float) -> None:
    fitted = RerankCalibration.fit(*made(share))
    found = fitted.own / (fitted.own + fitted.judged * 2)
    assert found == pytest.approx(share, abs=0.11)
    judged, own, relevant = made(share, seed=1)
    chance = np.concatenate(
        [fitted.probabilities(one, list(other)) for one, other in zip(judged, own, strict=True)]
    )
    right = np.concatenate(relevant)
    edges = np.quantile(chance, np.linspace(0, 1, 11)[1:-1])
    groups = np.digitize(chance, edges)
    for group in range(10):  # expected calibration error, by deciles
        said, was = chance[groups == group].mean(), right[groups == group].mean()
        assert said == pytest.approx(was, abs=0.05)


def test_where_mixing_does_not_help_the_searchs_score_is_not_asked_for() -> None:
    judged, _, relevant = made(0.0)
    constant = RerankCalibration.fit(judged, [np.ones(20) for _ in judged], relevant)
    assert constant.own == 0
    assert np.isfinite(constant.probabilities(judged[0], None)).all()


def test_the_searchs_scores_count_in_units_of_their_list() -> None:
    fitted = RerankCalibration.fit(*made(0.5))
    assert fitted.own > 0
    judged, own, _ = made(0.5, questions=3, seed=2)
    for one, other in zip(judged, own, strict=True):
        expected = 1 / (
            1
            + np.exp(
                -fitted.judged * one
                - fitted.own * (other - np.mean(other)) / np.std(other)
                - fitted.offset
            )
        )
        found = fitted.probabilities(one, list(other))
        np.testing.assert_allclose(found, expected, rtol=1e-9)
        np.testing.assert_allclose(
            fitted.probabilities(one, list(0.3 * other + 0.2)), found, rtol=1e-9
        )
        holes = np.append(one, np.nan)  # what could not be judged is not in the list
        wider = fitted.probabilities(holes, [*other, 40.0])
        np.testing.assert_array_equal(wider[:-1], found)
        assert np.isnan(wider[-1])
    equal = fitted.probabilities(judged[0], [0.7] * 20)
    np.testing.assert_allclose(
        equal, 1 / (1 + np.exp(-fitted.judged * judged[0] - fitted.offset)), rtol=1e-12
    )


def test_what_was_not_judged_is_left_out() -> None:
    judged, own, relevant = made(0.0)
    holes = [np.append(row, np.nan) for row in judged]
    wider = [np.append(row, 0.5) for row in own]
    wrong = [np.append(row, True) for row in relevant]
    assert RerankCalibration.fit(holes, wider, wrong) == RerankCalibration.fit(
        judged, own, relevant
    )


def test_too_few_labels_and_useless_scores_are_refused() -> None:
    judged, own, relevant = made(0.0, questions=1)
    with pytest.raises(CalibrationError, match="20 of each are needed"):
        RerankCalibration.fit(judged, own, relevant)
    with pytest.raises(CalibrationError, match="20 of each are needed"):
        RerankCalibration.fit([], [], [])
    judged, own, relevant = made(0.0)
    with pytest.raises(CalibrationError, match="no higher scores"):
        RerankCalibration.fit([-row for row in judged], [0 * row for row in own], relevant)


def test_a_calibration_is_kept_beside_a_model(tmp_path: Path) -> None:
    fitted = RerankCalibration(judged=1.25, own=0.1, offset=-3)
    path = fitted.save(tmp_path)
    assert RerankCalibration.load(tmp_path) == fitted
    whole = json.loads(path.read_text())
    broken = [
        "{",
        "[]",
        json.dumps({**whole, "judged": "1"}),
        json.dumps({**whole, "judged": -1}),
        json.dumps({**whole, "judged": float("nan")}),
        json.dumps({**whole, "format": 1}),
        json.dumps({**whole, "kind": "else"}),
        json.dumps({k: v for k, v in whole.items() if k != "own"}),
        "[" * 100_000,
    ]
    for text in broken:
        path.write_text(text)
        with pytest.raises(CalibrationError):
            RerankCalibration.load(tmp_path)
    path.unlink()
    with pytest.raises(CalibrationError, match="cannot be read"):
        RerankCalibration.load(tmp_path)
