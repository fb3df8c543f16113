"""`Uncertainty` and `Disagreement`: pictures that encoders cannot tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unisem.pairs.labelling.strategies.base import Positions, Strategy
from unisem.pairs.labelling.strategies.pool import Pool


class Uncertainty(Strategy):
    """The smallest margin between a picture's two likeliest tags first.

    Source: Scheffer et al. 2001, "Active Hidden Markov Models for Information Extraction",
    section 3.
    """

    reason = "two tags are nearly as likely"

    def _chosen(self, pool: Pool, count: int, rng: np.random.Generator) -> Positions:
        if len(pool.head.tags) < 2:
            raise ValueError("a margin is between two tags; there are fewer")
        best = np.partition(pool.head.beliefs, -2, axis=1)[:, -2:]
        return _lowest(best[:, 1] - best[:, 0], count, rng)


class Disagreement(Strategy):
    """Pictures first about which encoders disagree most.

    How much is the Jensen-Shannon divergence of their beliefs: the entropy of the mean less the
    mean of the entropies. Source: McCallum and Nigam 1998, "Employing EM and Pool-Based Active
    Learning for Text Classification", section 3.
    """

    reason = "encoders disagree"

    def _chosen(self, pool: Pool, count: int, rng: np.random.Generator) -> Positions:
        if not pool.others:
            raise ValueError(
                "disagreement needs two encoders: name another one, such as the one before training"
            )
        heads = [head.beliefs for head in (pool.head, *pool.others)]
        mean: NDArray[np.float64] = np.mean(heads, axis=0)
        divergence = _entropy(mean) - np.mean([_entropy(one) for one in heads], axis=0)
        return _lowest(-divergence, count, rng)


def _entropy(beliefs: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(n,)`` entropies of rows, in nats."""
    logs = np.log(beliefs, where=beliefs > 0, out=np.zeros_like(beliefs))
    entropies: NDArray[np.float64] = -(beliefs * logs).sum(axis=1)
    return entropies


def _lowest(values: NDArray[np.float64], count: int, rng: np.random.Generator) -> Positions:
    """Positions of the lowest values, the lowest first, equal ones by lot."""
    order = rng.permutation(len(values))
    return order[np.argsort(values[order], kind="stable")[:count]]
