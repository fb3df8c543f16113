"""Negatives are wrong for certain, and the same in the same step."""

from __future__ import annotations

import numpy as np

from unisem.training.cross_modal.candidates import NONE, Candidates

IMAGES = np.array([0, 0, 1, 2, 3, 4, 5, 5])
CAPTIONS = np.array([0, 1, 2, 3, 3, 4, 5, 6])
MINED = np.array(
    [
        [2, 3, 4],
        [5, 6, 7],
        [0, 3, 4],
        [0, 1, 2],
        [0, 1, 2],
        [6, 7, 0],
        [0, 1, 2],
        [3, 4, 5],
    ]
)


def candidates(hard: int = 2, random: int = 3) -> Candidates:
    return Candidates(IMAGES, CAPTIONS, MINED if hard else None, hard, random, 7)


def belongs(one: int, other: int) -> bool:
    return IMAGES[one] == IMAGES[other] or CAPTIONS[one] == CAPTIONS[other]


def test_no_negative_shares_a_picture_or_a_caption() -> None:
    made = candidates(hard=0, random=9)
    batch = np.arange(8)
    for step in range(20):
        drawn = made.draw(batch, step)
        assert drawn.shape == (8, 10)
        for row, position in zip(drawn, batch, strict=True):
            assert row[0] == position
            chosen = [int(other) for other in row[1:] if other != NONE]
            # so many places are left that every wrong pair of the batch is there, once
            expected = [other for other in range(8) if not belongs(int(position), other)]
            assert sorted(chosen) == expected


def test_hard_ones_are_drawn_from_the_mined_and_not_twice() -> None:
    made = candidates()
    seen: dict[int, set[int]] = {position: set() for position in range(8)}
    for step in range(40):
        batch = np.random.default_rng(step).permutation(8)[:6]
        for row in made.draw(batch, step):
            hard, random = row[1:3].tolist(), [n for n in row[3:].tolist() if n != NONE]
            assert set(hard) <= set(MINED[row[0]].tolist())
            assert len(set(hard)) == 2
            assert not set(random) & {*hard, int(row[0])}
            assert set(random) <= set(batch.tolist())
            assert not any(belongs(int(row[0]), other) for other in random)
            seen[int(row[0])] |= set(hard)
    assert all(seen[position] == set(MINED[position].tolist()) for position in seen)


def test_a_step_draws_the_same_again_and_another_step_others() -> None:
    made, batch = candidates(), np.arange(8)
    assert (made.draw(batch, 3) == candidates().draw(batch, 3)).all()
    assert (made.draw(batch, 3) != made.draw(batch, 4)).any()
    slots = made.slots(2, 3)
    assert made.draw(batch, 3)[2, 1:3].tolist() == MINED[2, slots].tolist()


def test_every_pair_has_its_turn_once_whatever_the_groups() -> None:
    for group in (1, 2, 3, 8):
        orders = [candidates().order(epoch, group).tolist() for epoch in range(3)]
        assert all(sorted(order) == list(range(8)) for order in orders)
        assert orders[0] == candidates().order(0, group).tolist()
        assert orders[0] != orders[1]


def test_a_pair_is_grouped_with_those_that_have_its_wrong_captions() -> None:
    stated = {n: [np.array([n ^ 1])] for n in range(8)}  # 0 and 1 are swaps of each other, …
    made = Candidates(np.arange(8), np.arange(8), None, 0, 1, 7, stated)
    for epoch in range(20):
        order = made.order(epoch, 4).tolist()
        assert all(order[n] ^ 1 == order[n + 1] for n in range(0, 8, 2))


def test_mined_pairs_follow_the_pair_that_they_are_hard_for() -> None:
    mined = np.array([[n ^ 1] for n in range(8)])
    made = Candidates(np.arange(8), np.arange(8), mined, 1, 1, 7)
    order = made.order(0, 2).tolist()
    assert all(order[n] ^ 1 == order[n + 1] for n in range(0, 8, 2))
