"""The scenes of late interaction's benchmark: what is asked for was not learned from."""

from __future__ import annotations

import argparse

import pytest

from benchmarks.late_interaction import drawn
from benchmarks.late_interaction_heads import apart, digest, swapped_together, together
from benchmarks.scenes_data import scenes, with_swaps

COUNTS = {"train": 200, "held": 60, "asked": 100}


@pytest.fixture(scope="module")
def parts() -> dict[str, tuple]:
    return drawn(3, argparse.Namespace(scenes=200, held_back=60, asked=100))


def test_no_true_caption_stands_in_two_parts(parts: dict[str, tuple]) -> None:
    captions = [{text for scene in made for text in scene.true} for made in parts.values()]
    assert sum(map(len, captions)) == len(set().union(*captions))


def test_parts_are_as_large_as_asked_for_and_scenes_keep_their_swaps(
    parts: dict[str, tuple],
) -> None:
    for name, most in COUNTS.items():
        assert most - 4 < len(parts[name]) <= most
        for group in together(parts[name]):
            swaps = {scene.true[0] for scene in group[1:]}
            assert swaps <= {text for scene in group for text in (*scene.true, *scene.wrong)}
            assert not swaps.isdisjoint(group[0].wrong)


def test_what_is_learned_from_is_the_same_whatever_else_is_drawn(parts: dict[str, tuple]) -> None:
    other = drawn(3, argparse.Namespace(scenes=200, held_back=40, asked=40))
    assert other["train"] == parts["train"]
    assert digest(other["train"]) == digest(parts["train"]) != digest(other["asked"])


def test_where_all_was_seen_it_ends(parts: dict[str, tuple]) -> None:
    made = parts["train"][:8]
    seen = {text for scene in made for text in scene.true}
    with pytest.raises(ValueError, match="not 8 scenes"):
        apart(iter(made * 200), 8, seen)


def test_a_scene_shares_its_number_with_its_swaps() -> None:
    one, two = ([*with_swaps([next(scenes(seed, frozenset()))], seed)] for seed in (0, 1))
    assert swapped_together([*one, *two]) == [0, 0, 0, 0, 1, 1, 1, 1]
