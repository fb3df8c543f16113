"""Splitting pairs so that nothing of one part can be recognised in the other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from unisem.errors import TrainingError
from unisem.pairs.dataset import PairDataset, caption_key, content_keys


@dataclass(frozen=True, slots=True)
class Split:
    """Two parts of a dataset."""

    train: PairDataset
    held_out: PairDataset


@dataclass(frozen=True, slots=True)
class Leakage:
    """What two parts of a dataset have in common, on any side of a pair or as a negative.

    Attributes:
        pictures: Distinct pictures, by content, that are in both.
        captions: Distinct texts that are in both.
    """

    pictures: int
    captions: int


def share_or_number(held_out: float) -> float | int:
    """A share of the pairs, below 1, or a number of pairs as a whole number.

    >>> share_or_number(0.2), share_or_number(40.0)
    (0.2, 40)

    Raises:
        ValueError: It is neither.
    """
    if 0 < held_out < 1:
        return held_out
    if held_out < 1 or held_out != held_out // 1:  # NaN is not itself
        raise ValueError(
            f"must be a share of the pairs between 0 and 1 or a whole number of pairs, "
            f"not {held_out}"
        )
    return int(held_out)


def split_pairs(dataset: PairDataset, *, held_out: float | int = 0.2, seed: int = 0) -> Split:
    """Split by content: pairs that share a picture, its content or a text stay together.

    Groups are shuffled and held out until there are enough pairs; a group that would overshoot by
    more than it helps stays in training. Given negatives do not keep pairs together: one that is
    held out, on a side of a pair, goes from the pairs to train on, and one that is trained on goes
    from those that are held out.

    Args:
        dataset: Checked pairs, so that contents are known; see `unisem.training.check_pairs`.
        held_out: A share of the pairs below 1, or a whole number of pairs.
        seed: Decides the split, together with the pairs' order.

    Raises:
        TrainingError: Neither a share nor a number; the pairs cannot be split, because too many
            hang together; nothing would be left to train on.
    """
    try:
        part = share_or_number(held_out)
    except ValueError as error:
        raise TrainingError(f"held_out {error}") from None
    wanted = round(part * len(dataset)) if part < 1 else int(part)
    if not 0 < wanted < len(dataset):
        raise TrainingError(
            f"cannot hold out {wanted:,} of {len(dataset):,} pairs; both parts need some, so "
            "hold out fewer or more (held_out, --held-out)"
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
            "or texts. Clean the captions, or bring a held-out part of your own"
        )
    inside = chosen[groups]
    if inside.all():
        raise TrainingError(
            f"with {wanted:,} of {len(dataset):,} pairs held out none is left to train on, since "
            "pairs of one picture stay together; hold out fewer (held_out, --held-out)"
        )
    train, kept = dataset.select(np.flatnonzero(~inside)), dataset.select(np.flatnonzero(inside))
    sides = (side for pair in kept for side in (pair.query, pair.document))
    train = _without(train, {key for side in sides for key in content_keys(side)})
    shown = (one for pair in train for one in pair.inputs)
    return Split(train, _without(kept, {key for one in shown for key in content_keys(one)}))


def leakage(train: PairDataset, held_out: PairDataset) -> Leakage:
    """Count what two checked parts have in common, by content and by text."""
    parts = [[one for pair in part for one in pair.inputs] for part in (train, held_out)]
    pictures = [
        {one.image.sha256 or one.image_id for one in part if one.image is not None}
        for part in parts
    ]
    texts = [{caption_key(one.text) for one in part if one.text is not None} for part in parts]
    return Leakage(len(pictures[0] & pictures[1]), len(texts[0] & texts[1]))


def _without(part: PairDataset, others: set[tuple[str, str]]) -> PairDataset:
    """Pairs without the negatives that show a text or a picture of another part."""
    if not any(pair.negatives for pair in part):
        return part
    pairs = []
    for pair in part:
        left = (one for one in pair.negatives if others.isdisjoint(content_keys(one)))
        pairs.append(replace(pair, negatives=tuple(left)))
    return PairDataset(tuple(pairs))
