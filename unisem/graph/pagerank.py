"""Personalised PageRank over a small graph, by power iteration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MOST_ROUNDS = 200


def pagerank(
    edges: NDArray[np.int64],
    weights: NDArray[np.float64],
    seeds: NDArray[np.float64],
    *,
    damping: float = 0.5,
    tolerance: float = 1e-12,
) -> NDArray[np.float64]:
    """How often somebody is where, who walks along edges by weight and starts over at the seeds.

    Source: Page, Brin, Motwani and Winograd, "The PageRank Citation Ranking" (1999); personalised
    and undirected as in Gutiérrez and others, "From RAG to Memory" (HippoRAG 2, 2025). NetworkX's
    ``pagerank`` of the same graph gives the same numbers.

    Args:
        edges: ``(m, 2)`` places of nodes; each edge once, walked either way.
        weights: ``(m,)``, at least 0; an edge of 0 is none.
        seeds: ``(n,)``, at least 0, not all of them; where a walk begins.
        damping: The share of steps that go along an edge, from 0 up to, not including, 1.
        tolerance: Of the sum of absolute changes in a round, at which it ends.

    Returns:
        ``(n,)`` probabilities that add up to 1.
    """
    count = len(seeds)
    edges, weights = edges[weights > 0], weights[weights > 0]  # a product may have come to nothing
    start: NDArray[np.float64] = seeds / seeds.sum()
    if not len(edges):
        return start
    is_loop = edges[:, 0] == edges[:, 1]  # which leads away once
    back = edges[~is_loop, ::-1]
    sources, targets = np.concatenate([edges, back]).T
    both = np.concatenate([weights, weights[~is_loop]])
    leaving = np.bincount(sources, both, minlength=count)
    shares = damping * (both / leaving[sources])  # in this order nothing vanishes above the line
    ends = np.flatnonzero(leaving == 0)
    rank: NDArray[np.float64] = start
    for _ in range(_MOST_ROUNDS):
        arrived = np.bincount(targets, rank[sources] * shares, minlength=count)
        anew = damping * float(rank[ends].sum() if len(ends) else 0.0) + 1 - damping
        follows: NDArray[np.float64] = arrived + anew * start
        change = np.abs(follows - rank).sum()
        rank = follows
        if change < tolerance:
            break
    total: NDArray[np.float64] = rank / rank.sum()
    return total
