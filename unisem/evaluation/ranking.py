"""`Ranking`: where the relevant candidates of each query ended up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The positions of relevant candidates, per query, ready for any measure.

    Three things are called recall in the field; here they have three names: ``hit@k`` (any
    relevant candidate among the first k, what CLIP papers report as R@k), ``recall@k`` (which
    share of them) and ``ann_recall@k`` (agreement with exact search, which is not this module's).

    Attributes:
        ranks: For each query the ranks of its relevant candidates, ascending, from 1.
    """

    ranks: tuple[NDArray[np.int64], ...]

    @classmethod
    def of(cls, scores: Floats, relevant: Sequence[Sequence[int]]) -> Self:
        """Rank candidates by score, ties by position, as trec_eval would with sorted names.

        Args:
            scores: ``(queries, candidates)``, higher is better.
            relevant: For each query the positions of its relevant candidates, at least one.

        Raises:
            ValueError: Another number of queries, or one without a relevant candidate.
        """
        if len(scores) != len(relevant):
            raise ValueError(f"{len(scores)} rows of scores but {len(relevant)} relevant lists")
        ranks = []
        for row, wanted in zip(scores, relevant, strict=True):
            if not len(wanted):
                raise ValueError("every query needs at least one relevant candidate")
            position = np.empty(len(row), np.int64)
            position[np.argsort(-row, kind="stable")] = np.arange(1, len(row) + 1)
            ranks.append(np.sort(position[np.asarray(wanted, np.int64)]))
        return cls(tuple(ranks))

    def hit(self, k: int) -> Floats:
        """``(queries,)`` of 1 where any relevant candidate is among the first ``k``, else 0."""
        return np.array([float(ranks[0] <= k) for ranks in self.ranks])

    def recall(self, k: int) -> Floats:
        """``(queries,)`` shares of the relevant candidates that are among the first ``k``."""
        return np.array([float((ranks <= k).mean()) for ranks in self.ranks])

    def reciprocal_rank(self) -> Floats:
        """``(queries,)`` of 1 / rank of the first relevant candidate; their mean is MRR."""
        return np.array([1.0 / float(ranks[0]) for ranks in self.ranks])

    def ndcg(self, k: int) -> Floats:
        """``(queries,)`` of nDCG@k with binary gains and the ideal over all relevant ones."""
        values = []
        for ranks in self.ranks:
            gain = (1 / np.log2(ranks[ranks <= k] + 1)).sum()
            ideal = (1 / np.log2(np.arange(1, min(k, len(ranks)) + 1) + 1)).sum()
            values.append(float(gain / ideal))
        return np.array(values)


def bootstrap_interval(
    values: Floats, *, confidence: float = 0.95, rounds: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean (Efron 1979), over queries.

    For two systems pass the differences query by query: that is the paired bootstrap.

    Args:
        values: ``(queries,)`` of a measure.
        confidence: Coverage, between 0 and 1.
        rounds: Resamples.
        seed: Makes the interval reproducible.
    """
    rng = np.random.default_rng(seed)
    means = np.array(
        [values[rng.integers(0, len(values), len(values))].mean() for _ in range(rounds)]
    )
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
