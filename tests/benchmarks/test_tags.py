"""The figures of the tags' benchmark: counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.tags import Figures, right_tags


def test_what_a_threshold_gives() -> None:
    scores = np.array([[4.0, 3.0, 1.0], [2.0, 5.0, 4.5], [0.0, 1.0, 2.0]])
    right = np.array([[True, False, True], [False, True, True], [False, False, False]])
    # At 3: given are 0 and 1 of the first, 1 and 2 of the second; right are 3 of these 4, of 4.
    found = Figures.of(scores, right, 3.0)
    assert (found.precision, found.recall) == (3 / 4, 3 / 4)
    assert found.tags == pytest.approx(4 / 3)
    assert found.wordless == pytest.approx(1 / 3)
    assert found.f1 == pytest.approx(3 / 4)
    one = Figures.of(scores, right, 3.0, most=1)
    assert (one.precision, one.recall) == (1, 2 / 4)
    assert Figures.of(scores, right, 9.0).f1 == 0


def test_which_tags_are_right() -> None:
    captions = ["Two red foxes. animals, fire engine", "a bus"]
    tags = ["fox", "animal", "fire engine", "engines", "bus", "red fox", "dog"]
    expected = [[True, True, True, True, False, True, False], [False] * 4 + [True, False, False]]
    assert right_tags(captions, tags).tolist() == expected
