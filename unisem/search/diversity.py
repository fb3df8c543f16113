"""Diversity: a choice of hits that do not all say the same.

Maximal marginal relevance picks one candidate after another, each time the one with the greatest
``balance * relevance - (1 - balance) * likeness``, where likeness is the greatest similarity to
those picked already. Source: Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking
for Reordering Documents and Producing Summaries" (SIGIR 1998), where ``balance`` is called lambda.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from unisem.records import Vector

Floats = NDArray[np.float64]


def maximal_marginal_relevance(
    query: Vector, candidates: Vector, k: int, balance: float = 0.5
) -> list[int]:
    """Choose by cosine between a query's vector and candidates' vectors.

    Args:
        query: ``(d,)``, of any length but 0.
        candidates: ``(n, d)``, likewise.
        k: How many at most.
        balance: From 0, only diversity after the first, to 1, only relevance.

    Returns:
        Positions of the chosen, in the order they were chosen.

    >>> near, twin, other = [1, 0.1], [1, 0.11], [0.6, -0.8]
    >>> maximal_marginal_relevance([1, 0], [near, twin, other], k=2)
    [0, 2]
    """
    rows = _unit(candidates)
    if not len(rows):
        return []
    return choose(rows @ _unit(query).ravel(), rows @ rows.T, k, balance)


def choose(relevance: Floats, likeness: Floats, k: int, balance: float = 0.5) -> list[int]:
    """Choose by any measures of relevance and of likeness that are on one scale.

    The first is the most relevant, whatever the balance; of equals the earlier one wins.

    Args:
        relevance: ``(n,)``.
        likeness: ``(n, n)``, symmetric.
        k: How many at most.
        balance: As in `maximal_marginal_relevance`.
    """
    if not 0 <= balance <= 1:
        raise ValueError(f"balance must be between 0 and 1, not {balance!r}")
    gain = np.array(relevance, np.float64)
    nearest = np.full(len(gain), -np.inf)
    chosen: list[int] = []
    while len(chosen) < min(k, len(gain)):
        value = gain if not chosen else balance * gain - (1 - balance) * nearest
        value[chosen] = -np.inf
        chosen.append(int(np.argmax(value)))
        nearest = np.maximum(nearest, likeness[chosen[-1]])
    return chosen


def likeness_of(groups: Sequence[Vector]) -> Floats:
    """How alike records are that have several vectors each: the cosine of their nearest pair.

    So two pictures are alike if they look alike or if their captions say the same.

    Args:
        groups: For each record its ``(n, d)`` vectors, at least one.

    Returns:
        ``(records, records)``.
    """
    rows = _unit(np.concatenate(groups))
    starts = np.cumsum([0, *map(len, groups)])[:-1]
    cosines = rows @ rows.T
    nearest = np.maximum.reduceat(np.maximum.reduceat(cosines, starts, axis=0), starts, axis=1)
    return np.asarray(nearest, np.float64)


def _unit(vectors: Vector) -> Floats:
    rows = np.atleast_2d(np.asarray(vectors, np.float64))
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30))
