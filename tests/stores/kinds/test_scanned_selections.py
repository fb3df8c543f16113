"""A selection is scanned where that is faster than codes, which by two bits is sooner."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unisem.stores.faiss.kinds import base
from unisem.stores.faiss.kinds.codes import RaBitQ
from unisem.stores.faiss.raw_file import RawFile


@pytest.mark.parametrize(("bits", "share"), [(1, 0.08), (2, 0.12)])
def test_the_share_that_is_scanned(
    bits: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "FEW", 10)
    rows = np.random.default_rng(0).standard_normal((1000, 16)).astype(np.float32)
    index = RaBitQ.build(RawFile.of(rows), [])
    index.tuning = replace(index.tuning, bits=bits)
    assert index.is_scanned(round(1000 * share))
    assert not index.is_scanned(round(1000 * share) + 2)
    assert index.is_scanned(10)
