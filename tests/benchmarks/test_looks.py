"""What the benchmark of looks counts as merged, against one picture after the other."""

from __future__ import annotations

import numpy as np

from benchmarks.looks import Kind, differ, merged
from unisem.images.looks import are_near


def test_each_makes_way_for_the_first_that_stands() -> None:
    random = np.random.default_rng(0)
    values = random.integers(0, 40, 130)

    def near(ours, theirs):  # type: ignore[no-untyped-def]
        return np.abs(ours[:, None] - theirs[None]) <= 1

    expected: dict[int, int] = {}
    for place, value in enumerate(values):
        for earlier in range(place):
            if earlier not in expected and abs(int(values[earlier]) - int(value)) <= 1:
                expected[place] = earlier
                break
    assert merged(Kind("", values, {}, near)) == expected
    assert are_near(np.zeros((1, 195)) + 1, np.zeros((1, 195)) + 1).all()


def test_a_small_part_that_is_another_counts() -> None:
    one = np.full((96, 96, 3), 200, np.uint8)
    other = one.copy()
    other[8:16, 8:16] -= 30
    assert differ(one, other)
    assert not differ(one, one)
    other = one.copy()
    other[8:16, 8:12] -= 30
    assert not differ(one, other)
