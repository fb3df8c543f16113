"""`Combined`: uncertain pictures that differ from each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unisem.pairs.labelling.strategies.base import Positions, Strategy
from unisem.pairs.labelling.strategies.pool import Pool


class Combined(Strategy):
    """K-means++ over gradients, whose length is uncertainty and whose direction is what it is of.

    The gradient is that of InfoNCE by the picture's vector, as if its likeliest tag were its
    caption: the mean of the tags, weighted by belief, less the likeliest one. A picture is drawn
    with a probability that grows with the square of its distance from all that are drawn already.
    Source: Ash et al. 2020, "Deep Batch Active Learning by Diverse, Uncertain Gradient Lower
    Bounds" (BADGE), https://arxiv.org/abs/1906.03671, algorithm 1.
    """

    reason = "uncertain, and unlike the others that are asked about"

    def _chosen(self, pool: Pool, count: int, rng: np.random.Generator) -> Positions:
        if len(pool.head.tags) < 2:
            raise ValueError("uncertainty is between two tags; there are fewer")
        beliefs = pool.head.beliefs
        gradients = beliefs @ pool.head.tags - pool.head.tags[beliefs.argmax(axis=1)]
        return plus_plus(gradients, count, rng)


def plus_plus(rows: NDArray[np.float64], count: int, rng: np.random.Generator) -> Positions:
    """The seeding of k-means++, from the longest row on.

    Args:
        rows: ``(n, d)``.
        count: How many are drawn, at most n.
        rng: Chance.

    Returns:
        ``(count,)`` positions, none twice.
    """
    squares = (rows**2).sum(axis=1)
    chosen = [int(squares.argmax())]
    left = np.full(len(rows), np.inf)
    free = np.ones(len(rows), bool)
    while True:
        last = chosen[-1]
        free[last] = False
        apart = np.maximum(squares + squares[last] - 2 * (rows @ rows[last]), 0)
        left = np.where(free, np.minimum(left, apart), 0)
        if len(chosen) == count:
            return np.array(chosen, np.int64)
        total = left.sum()
        chance = left / total if total > 0 else free / free.sum()  # all others are copies
        chosen.append(int(rng.choice(len(rows), p=chance)))
