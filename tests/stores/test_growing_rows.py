"""Rows in blocks answer as one array does, and what was handed out stays as it is."""

from __future__ import annotations

import numpy as np
import pytest

from unisem.stores.faiss import growing_rows
from unisem.stores.faiss.growing_rows import GrowingRows


def test_rows_in_blocks_are_those_of_one_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_rows, "_BLOCK", 5)
    rng = np.random.default_rng(0)
    growing, whole = GrowingRows(3), np.empty((0, 3), np.float32)
    query = rng.standard_normal(3).astype(np.float32)
    handed_out = []
    for count in (0, 1, 3, 1, 4, 12, 0, 7):  # to a block's end, over it, over several
        rows = rng.standard_normal((count, 3)).astype(np.float32)
        growing.append(rows)
        whole = np.concatenate([whole, rows])
        handed_out.append((growing.view, whole))
        for view, expected in handed_out:
            assert (len(view), view.width) == (len(expected), 3)
            np.testing.assert_array_equal(view.at(np.arange(len(expected))), expected)
            np.testing.assert_allclose(view.products(query), expected @ query, rtol=1e-5)
    view = growing.view
    for share in (0, 0.1, 0.5):
        some = np.flatnonzero(rng.random(len(whole)) < share)
        np.testing.assert_allclose(view.products(query, some), whole[some] @ query, rtol=1e-5)
        shuffled = rng.permutation(some)
        np.testing.assert_array_equal(view.at(shuffled), whole[shuffled])
