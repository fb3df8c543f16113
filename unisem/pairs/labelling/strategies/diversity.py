"""`Diversity`: pictures that lie far from all that have captions."""

from __future__ import annotations

import numpy as np

from unisem.pairs.labelling.strategies.base import Positions, Strategy
from unisem.pairs.labelling.strategies.pool import Pool

_AT_ONCE = 1024  # labelled pictures whose distances are computed together


class Diversity(Strategy):
    """K-centre greedy: always the picture that is farthest from all labelled and chosen ones.

    Source: Sener and Savarese 2018, "Active Learning for Convolutional Neural Networks: A Core-Set
    Approach", https://arxiv.org/abs/1708.00489, algorithm 1.
    """

    reason = "unlike all that have captions"

    def _chosen(self, pool: Pool, count: int, rng: np.random.Generator) -> Positions:
        images = pool.head.images
        nearest = np.full(len(images), -np.inf, np.float32)  # cosine to the nearest centre
        for start in range(0, len(pool.labelled), _AT_ONCE):
            part = images @ pool.labelled[start : start + _AT_ONCE].T
            np.maximum(nearest, part.max(axis=1), out=nearest)
        chosen = np.empty(count, np.int64)
        for place in range(count):
            if not len(pool.labelled) and not place:
                position = int(rng.integers(len(images)))
            else:
                position = int(nearest.argmin())
            chosen[place] = position
            np.maximum(nearest, images @ images[position], out=nearest)
            nearest[chosen[: place + 1]] = np.inf
        return chosen
