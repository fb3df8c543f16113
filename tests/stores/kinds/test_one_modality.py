"""Codes of pictures only, or of texts only, are tried with what the other modality would ask."""

from __future__ import annotations

import numpy as np
import pytest

from tests.calibration.synthetic import Corpus
from unisem.calibration import fit_calibration
from unisem.records import Vector
from unisem.stores.calibrated import Calibrated
from unisem.stores.faiss.index_settings import IndexSettings
from unisem.stores.faiss.kinds import base, ivf_pq
from unisem.stores.faiss.kinds.tuning import Tuning
from unisem.stores.faiss.moments import Moment
from unisem.stores.faiss.segment import Segment

ROWS = 3_000


def drawn(dimension: int) -> Vector:
    rows = np.random.default_rng(7).standard_normal((ROWS, dimension)).astype(np.float32) + 0.3
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def tuning_of(rows: Vector, are_images: bool | Vector, calibrated: Calibrated | None) -> Tuning:
    numbers = np.arange(len(rows), dtype=np.int64) << 12 | are_images
    settings = IndexSettings("ivf_pq")
    found = Segment.build("ivf_pq", rows, numbers, Moment("e", 1), calibrated, settings).tuning
    assert found is not None
    return found


@pytest.mark.parametrize("are_images", [True, False])
def test_more_is_looked_at_where_nobody_can_ask(
    are_images: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = drawn(48)
    found = tuning_of(rows, are_images, None)
    assert found.raised == 6
    assert "(6 times what these need" in found.described
    assert Tuning.from_json(found.to_json()) == found
    monkeypatch.setattr(ivf_pq, "_RAISED", 1)
    of_these = tuning_of(rows, are_images, None)
    assert found.oversampling == 2 * of_these.oversampling
    lists = min(ROWS // 39, int(ROWS**0.5))
    assert found.probes == min(lists, 6 * of_these.probes)
    mixed = tuning_of(rows, np.arange(ROWS) % 2, None)
    assert mixed.raised == 1
    assert len(mixed.recalls) == 3


@pytest.mark.parametrize(("are_images", "other"), [(True, "texts"), (False, "pictures")])
def test_a_calibration_knows_what_is_asked(
    are_images: bool, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "FEW", 100)
    monkeypatch.setattr(ivf_pq, "FEW", 100)
    corpus = Corpus.of(300, 0.6, 1)
    calibration = fit_calibration(corpus.sample, fingerprint="ab")
    rows = corpus.images if are_images else corpus.texts
    monkeypatch.setattr("unisem.stores.faiss.kinds.building.FEW", 100)
    found = tuning_of(rows, are_images, Calibrated.of(calibration))
    assert found.raised == 1
    assert f"{other} of the calibration" in found.recalls
    assert "other modality" not in found.described
