"""`Coverage`: pictures that many others are like, of which no caption speaks; a series is one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unisem.pairs.labelling.strategies.base import Positions, Strategy
from unisem.pairs.labelling.strategies.pool import Pool
from unisem.records import Vector

_WIDTH = 1.0  # squared distance at which a picture covers another by 1/e
_SERIES = 0.2  # the same of the narrower kernel that tells what is of one series
_COVERED = 4096  # pictures that are to be covered, drawn by lot where there are more
_AT_ONCE = 512  # of them that are held against all others together


class Coverage(Strategy):
    """Always the picture that adds most to how well all pictures are covered.

    How well a picture is covered is its likeness, ``exp(-|x - y|²)``, to the nearest picture that
    has a caption; vectors are taken about their mean first. A picture counts as much as it is
    alone: each of ten copies counts a tenth, since it is captions that are looked for, however
    many pictures they have. The same from any seed, unless there are very many pictures.

    Source: Bae, Noh and Sutherland 2024, "Generalized Coverage for More Robust Low-Budget Active
    Learning" (MaxHerding), https://arxiv.org/abs/2407.12212, section 3; the weights are ours.
    """

    reason = "many are like it, and no caption speaks of them"

    def _chosen(self, pool: Pool, count: int, rng: np.random.Generator) -> Positions:
        images = pool.head.images
        rows = np.concatenate([images, pool.labelled.reshape(-1, images.shape[1])])
        rows = rows - rows.mean(axis=0)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        if len(images) > _COVERED:
            ground = rows[rng.choice(len(images), _COVERED, replace=False)]
        else:
            ground = rows[: len(images)]
        likeness = np.empty((len(ground), len(images)), np.float32)
        weights, covered = (np.zeros(len(ground), np.float32) for _ in range(2))
        parts = [slice(at, at + _AT_ONCE) for at in range(0, len(ground), _AT_ONCE)]
        for part in parts:
            # Squared distances of unit vectors are 2 - 2 cos.
            near = np.exp((ground[part] @ rows.T - 1) * np.float32(2 / _WIDTH))
            weights[part] = 1 / (near ** np.float32(_WIDTH / _SERIES)).sum(axis=1)
            covered[part] = near[:, len(images) :].max(axis=1, initial=0)
            likeness[part] = near[:, : len(images)]
        free = np.full(len(images), True)
        chosen = np.empty(count, np.int64)
        for place in range(count):
            gains = np.zeros(len(images))
            for part in parts:
                gains += _gains(likeness[part], covered[part], weights[part])
            chosen[place] = best = int(np.where(free, gains, -1).argmax())
            free[best] = False
            np.maximum(covered, likeness[:, best], out=covered)
        return chosen


def _gains(likeness: Vector, covered: Vector, weights: Vector) -> NDArray[np.float32]:
    """``(n,)``: what each picture would add."""
    gains: NDArray[np.float32] = weights @ np.maximum(likeness - covered[:, None], 0)
    return gains
