"""`Rarest`: pictures of what few captions speak of."""

from __future__ import annotations

import numpy as np

from unisem.pairs.labelling.strategies.base import Positions, Strategy
from unisem.pairs.labelling.strategies.pool import Pool, beliefs_of


class Rarest(Strategy):
    """The class that has the fewest captions first, of these the one that is rarest in the pool.

    A picture's class is its likeliest tag. Of a class the picture comes first that is surest to be
    of it.
    """

    reason = "few captions speak of what it seems to show"

    def _chosen(self, pool: Pool, count: int, rng: np.random.Generator) -> Positions:
        tags = len(pool.head.tags)
        if not tags:
            raise ValueError("classes are tags; there are none")
        beliefs = pool.head.beliefs
        classes = beliefs.argmax(axis=1)
        captions = np.bincount(
            beliefs_of(pool.labelled, pool.head.tags).argmax(axis=1), minlength=tags
        )
        sizes = np.bincount(classes, minlength=tags)
        sure = beliefs[np.arange(len(classes)), classes]
        order = rng.permutation(len(classes))
        order = order[np.argsort(-sure[order], kind="stable")]
        # A picture's turn is how many captions its class has when it comes; earlier turns first.
        turn = np.empty(len(classes), np.int64)
        for position in order:
            turn[position] = captions[classes[position]]
            captions[classes[position]] += 1
        ranked = order[np.lexsort((sizes[classes[order]], turn[order]))]
        return ranked[:count]
