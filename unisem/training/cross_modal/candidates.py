"""`Candidates`: which wrong texts and pictures a pair is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unisem.pairs.dataset import Ids

NONE = -1
"""Stands where there is no candidate."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Draws negatives; what shares a picture's id or a caption with a pair is never one.

    Masking by id, not by position, matters where a picture has several captions: ALBEF
    (https://arxiv.org/abs/2107.07651) masks by position in its training code and by id for
    retrieval.

    Attributes:
        image_ids: ``(n,)``.
        caption_ids: ``(n,)``.
        mined: ``(n, m)`` positions of pairs that are hard to tell from each, ``None`` for none.
        hard: How many of those a step takes.
        random: How many others of the batch it takes.
        seed: Decides which, together with the step.
        stated: For each pair others whose captions were said to be wrong for its picture.
    """

    image_ids: Ids
    caption_ids: Ids
    mined: Ids | None
    hard: int
    random: int
    seed: int
    stated: Mapping[int, Sequence[Ids]] = field(default_factory=dict)

    def order(self, epoch: int, group: int) -> Ids:
        """Pairs in the order of an epoch, ``(n,)``: any ``group`` in a row are compared.

        What is hard to tell from a pair follows it, as far as there is room in its group and it
        has not had its turn: a pair of each caption that is wrong for its picture, then ``hard``
        of the mined ones. Groups of 1 are in random order.

        Args:
            epoch: Number of the epoch.
            group: Size of a group.
        """
        rng = np.random.default_rng([self.seed, 0, epoch])
        count = len(self.image_ids)
        free, order = np.ones(count, np.bool_), np.empty(count, np.int64)
        done = 0
        for first in rng.permutation(count).tolist():
            if not free[first]:
                continue
            room = group - done % group
            for position in self._together(first, rng) if room > 1 else [first]:
                if room and free[position]:
                    order[done], free[position] = position, False
                    done, room = done + 1, room - 1
        return order

    def _together(self, first: int, rng: np.random.Generator) -> list[int]:
        """A pair and what should be in its group, the hardest to tell from it first."""
        found = [first, *(int(rng.choice(alike)) for alike in self.stated.get(first, ()))]
        if self.mined is not None and self.hard:
            found += rng.permutation(self.mined[first])[: self.hard].tolist()
        return found

    def draw(self, batch: Ids, step: int) -> Ids:
        """Positions of candidates: ``(b, 1 + hard + random)``, the pair itself first.

        ``NONE`` stands where a batch has too few that are wrong for certain, and where one was
        drawn before.

        Args:
            batch: ``(b,)`` positions of pairs.
            step: Number of the step.
        """
        rng = np.random.default_rng([self.seed, 1, step])
        hard = self.hard if self.mined is not None else 0
        drawn = np.full((len(batch), 1 + hard + self.random), NONE, np.int64)
        drawn[:, 0] = batch
        for row, position in enumerate(batch):
            if self.mined is not None and hard:
                drawn[row, 1 : 1 + hard] = self.mined[position, self.slots(position, step)]
            others = batch[self.wrong(int(position), batch)]
            others = others[~np.isin(others, drawn[row])]
            chosen = rng.permutation(others)[: self.random]
            drawn[row, 1 + hard : 1 + hard + len(chosen)] = chosen
        return drawn

    def slots(self, position: int, step: int) -> Ids:
        """Which of a pair's mined negatives a step takes: ``(hard,)``."""
        assert self.mined is not None
        rng = np.random.default_rng([self.seed, 2, step, position])
        return rng.permutation(self.mined.shape[1])[: self.hard]

    def wrong(self, position: int, others: Ids) -> NDArray[np.bool_]:
        """Which of other pairs share neither picture nor caption with one."""
        apart = self.image_ids[others] != self.image_ids[position]
        unlike = self.caption_ids[others] != self.caption_ids[position]
        return np.asarray(apart & unlike)
