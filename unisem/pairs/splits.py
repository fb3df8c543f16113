"""Splitting pairs so that nothing of one part can be recognised in the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unisem.errors import TrainingError
from unisem.pairs.dataset import PairDataset, caption_key


@dataclass(frozen=True, slots=True)
class Split:
    """Two parts of a dataset."""

    train: PairDataset
    held_out: PairDataset


@dataclass(frozen=True, slots=True)
class Leakage:
    """What two parts of a dataset have in common.

    Attributes:
        pictures: Distinct pictures, by content, that are in both.
        captions: Distinct captions that are in both.
    """

    pictures: int
    captions: int


def split_pairs(dataset: PairDataset, *, held_out: float | int = 0.2, seed: int = 0) -> Split:
    """Split by picture: pairs that share a picture, its content or a caption stay together.

    Groups are shuffled and held out until there are enough pairs; a group that would overshoot by
    more than it helps stays in training.

    Args:
        dataset: Checked pairs, so that contents are known; see `unisem.training.check_pairs`.
        held_out: A share of the pairs below 1, or a number of pairs.
        seed: Decides the split, together with the pairs' order.

    Raises:
        TrainingError: The pairs cannot be split, because too many hang together.
    """
    wanted = round(held_out * len(dataset)) if held_out < 1 else int(held_out)
    if not 0 < wanted < len(dataset):
        raise TrainingError(
            f"cannot hold out {wanted:,} of {len(dataset):,} pairs; both parts need some"
        )
    groups = dataset.groups
    sizes = np.bincount(groups)
    chosen = np.zeros(len(sizes), bool)
    left = wanted
    for group in np.random.default_rng(seed).permutation(len(sizes)):
        if sizes[group] <= 2 * left and sizes[group] <= len(dataset) / 2:
            chosen[group] = True
            left -= int(sizes[group])
        if left <= 0:
            break
    if not chosen.any():
        raise TrainingError(
            f"the {len(dataset):,} pairs cannot be split: they hang together by shared pictures "
            "or captions. Clean the captions, or bring a held-out part of your own"
        )
    inside = chosen[groups]
    return Split(dataset.select(np.flatnonzero(~inside)), dataset.select(np.flatnonzero(inside)))


def leakage(train: PairDataset, held_out: PairDataset) -> Leakage:
    """Count what two checked parts have in common, by content and by caption."""
    pictures = [{pair.image.sha256 or pair.picture for pair in part} for part in (train, held_out)]
    captions = [{caption_key(pair.caption) for pair in part} for part in (train, held_out)]
    return Leakage(len(pictures[0] & pictures[1]), len(captions[0] & captions[1]))
