"""Scenes show what their captions say, by where things were drawn, and not what wrong ones say."""

from __future__ import annotations

import re
from itertools import islice

import numpy as np
import pytest

from benchmarks.scenes_data import (
    COUNTS,
    ROWS,
    Scene,
    held_out_combinations,
    scenes,
    scenes_of_held_out,
    with_swaps,
)

HELD_OUT = held_out_combinations()


def holds(caption: str, scene: Scene) -> bool:
    """Whether a caption is true of the things that were drawn, by their places alone."""
    things = {(colour, shape): (x, y) for colour, shape, x, y, _ in scene.drawn}
    if found := re.fullmatch(r"(\w+) (\w+) (\w+)s", caption):
        drawn = [(colour, shape) for colour, shape, *_ in scene.drawn]
        count = COUNTS.index(found[1]) + 2
        return drawn == [(found[2], found[3])] * count
    named = re.findall(r"a (\w+) (\w+)", caption)
    if len(named) != len(scene.drawn) or any(thing not in things for thing in named):
        return False
    places = np.array([things[thing] for thing in named])
    if len(named) == 3:
        axis = [caption.endswith(row) for row in ROWS].index(True)
        return bool((np.diff(places[:, axis]) > 0).all())
    (dx, dy) = places[1] - places[0]
    if "left of" in caption or "right of" in caption:
        return bool(abs(dx) > abs(dy) and (dx > 0) == ("left of" in caption))
    return bool(abs(dy) > abs(dx) and (dy > 0) == ("above" in caption))


@pytest.fixture(scope="module")
def made() -> list[Scene]:
    return [*islice(scenes(5, HELD_OUT), 400), *islice(scenes_of_held_out(6, HELD_OUT), 100)]


def test_captions_are_true_and_wrong_ones_are_not(made: list[Scene]) -> None:
    assert {scene.kind for scene in made} == {"two objects", "counts", "three objects"}
    for scene in made:
        assert all(holds(caption, scene) for caption in scene.true), scene
        assert not any(holds(caption, scene) for caption in scene.wrong), scene
        assert len({*scene.true, *scene.wrong}) == len(scene.true) + 3


def test_held_out_combinations_are_in_no_training_scene(made: list[Scene]) -> None:
    assert len(HELD_OUT) == 12
    assert not any(scene.combinations & HELD_OUT for scene in made[:400])
    assert all(scene.combinations & HELD_OUT for scene in made[400:])


def test_a_seed_gives_the_same_pictures(made: list[Scene]) -> None:
    again = next(scenes(5, HELD_OUT))
    assert again == made[0]
    assert again.draw().tobytes() == made[0].draw().tobytes()
    pixels = np.asarray(again.draw())
    for colour, _, x, y, _ in again.drawn:
        assert pixels[int(y), int(x)].tolist() != [255, 255, 255], colour


def test_of_each_scene_its_swaps_are_drawn() -> None:
    made = list(islice(with_swaps(scenes(1, HELD_OUT), 1, HELD_OUT), 60))
    assert len({scene.true[0] for scene in made}) > 40
    for scene in made:
        assert not scene.combinations & HELD_OUT
        assert holds(scene.true[0], scene)
        assert not any(holds(caption, scene) for caption in scene.wrong)
    whole = list(islice(with_swaps(islice(scenes(1, HELD_OUT), 5), 1), 20))
    for first in range(0, 20, 4):
        assert [scene.true[0] for scene in whole[first + 1 : first + 4]] == [*whole[first].wrong]
