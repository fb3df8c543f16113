"""`Ranking`: where the relevant candidates of each query ended up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from unisem.evaluation.bootstrap import Floats, bootstrap_interval

__all__ = ["NEVER", "Floats", "Ranking", "bootstrap_interval", "told_by_others"]

NEVER = int(np.iinfo(np.int64).max)
"""The rank of what is relevant and not among the candidates: behind every cutoff."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The positions of relevant candidates, per query, ready for any measure.

    Three things are called recall in the field; here they have three names: ``hit@k`` (any
    relevant candidate among the first k, what CLIP papers report as R@k), ``recall@k`` (which
    share of them) and ``ann_recall@k`` (agreement with exact search, which is not this module's).

    Attributes:
        ranks: For each query the ranks of its relevant candidates, ascending, from 1; `NEVER` of
            what is relevant, but cannot be found.
        gains: How relevant those candidates are, in the same order; all 1 if ``None``.
    """

    ranks: tuple[NDArray[np.int64], ...]
    gains: tuple[Floats, ...] | None = None

    @classmethod
    def of(
        cls,
        scores: NDArray[Any],
        relevant: Sequence[Sequence[int]],
        gains: Sequence[Sequence[float]] | None = None,
    ) -> Self:
        """Rank candidates by score, ties by position; so sort candidates by id beforehand.

        Args:
            scores: ``(queries, candidates)``, higher is better; not-a-number comes last.
            relevant: For each query the positions of its relevant candidates, at least one; -1
                for one that is not among the candidates.
            gains: How relevant each of them is, above 0; graded relevance for nDCG.

        Raises:
            ValueError: Another number of queries or gains, a query without a relevant candidate,
                a gain that is not above 0.
        """
        if len(scores) != len(relevant):
            raise ValueError(f"{len(scores)} rows of scores but {len(relevant)} relevant lists")
        if gains is not None and len(gains) != len(relevant):
            raise ValueError(f"{len(relevant)} relevant lists but {len(gains)} lists of gains")
        ranks, sorted_gains = [], []
        for number, (row, wanted) in enumerate(zip(scores, relevant, strict=True)):
            if not len(wanted):
                raise ValueError("every query needs at least one relevant candidate")
            found = _ranks(np.where(np.isnan(row), -np.inf, row), np.asarray(wanted, np.int64))
            order = np.argsort(found)
            ranks.append(found[order])
            if gains is not None:
                given = np.asarray(gains[number], np.float64)
                if given.shape != found.shape or not (given > 0).all():
                    raise ValueError(
                        f"query {number} needs one gain above 0 per relevant candidate"
                    )
                sorted_gains.append(given[order])
        return cls(tuple(ranks), None if gains is None else tuple(sorted_gains))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The rankings of consecutive queries as one; all with gains, or none."""
        graded = [part.gains for part in parts if part.gains is not None]
        return cls(
            tuple(ranks for part in parts for ranks in part.ranks),
            tuple(gains for part in graded for gains in part) if graded else None,
        )

    @property
    def first(self) -> NDArray[np.int64]:
        """``(queries,)`` ranks of the first relevant candidate."""
        return np.array([ranks[0] for ranks in self.ranks], np.int64)

    def hit(self, k: int) -> Floats:
        """``(queries,)`` of 1 where any relevant candidate is among the first ``k``, else 0."""
        return (self.first <= k).astype(np.float64)

    def recall(self, k: int) -> Floats:
        """``(queries,)`` shares of the relevant candidates that are among the first ``k``."""
        return np.array([float((ranks <= k).mean()) for ranks in self.ranks])

    def reciprocal_rank(self) -> Floats:
        """``(queries,)`` of 1 / rank of the first relevant candidate; their mean is MRR."""
        return np.where(self.first == NEVER, 0.0, 1.0 / self.first)

    def precision(self, k: int) -> Floats:
        """``(queries,)`` shares of the first ``k`` places that a relevant candidate has."""
        return np.array([float((ranks <= k).sum() / k) for ranks in self.ranks])

    def average_precision(self, k: int | None = None) -> Floats:
        """``(queries,)`` of average precision; their mean is MAP.

        The mean over all relevant candidates of the precision where each was found; one that is
        never found, or below the first ``k``, counts 0 (trec_eval's ``map`` and ``map_cut_k``).
        """
        values = []
        for ranks in self.ranks:
            found = np.arange(1, len(ranks) + 1) / ranks
            values.append(float(found[: (ranks <= (NEVER - 1 if k is None else k)).sum()].sum()))
        return np.array(values) / [len(ranks) for ranks in self.ranks]

    def ndcg(self, k: int) -> Floats:
        """``(queries,)`` of nDCG@k, gain / log2(rank + 1), the ideal over all relevant ones.

        The gain is the relevance itself, as in trec_eval. Source: Järvelin and Kekäläinen 2002,
        "Cumulated gain-based evaluation of IR techniques".
        """
        values = []
        for number, ranks in enumerate(self.ranks):
            gains = np.ones(len(ranks)) if self.gains is None else self.gains[number]
            among = ranks <= k
            gain = (gains[among] / np.log2(ranks[among] + 1)).sum()
            best = np.sort(gains)[::-1][:k]
            ideal = (best / np.log2(np.arange(1, len(best) + 1) + 1)).sum()
            values.append(float(gain / ideal))
        return np.array(values)

    def measures(self, ks: Sequence[int] = (1, 5, 10)) -> dict[str, Floats]:
        """All measures by the field's names, each ``(queries,)``.

        Args:
            ks: The cutoffs of hit@k and recall@k.

        >>> list(Ranking((np.array([2]),)).measures([1, 10]))
        ['hit@1', 'hit@10', 'recall@1', 'recall@10', 'mrr', 'map', 'ndcg@10']
        """
        return {
            **{f"hit@{k}": self.hit(k) for k in ks},
            **{f"recall@{k}": self.recall(k) for k in ks},
            "mrr": self.reciprocal_rank(),
            "map": self.average_precision(),
            "ndcg@10": self.ndcg(10),
        }


def told_by_others(measure: str) -> bool:
    """Whether another measure says it where one candidate is relevant: recall@k is hit@k, MAP MRR.

    >>> [name for name in ("hit@1", "recall@1", "mrr", "map") if told_by_others(name)]
    ['recall@1', 'map']
    """
    return measure == "map" or measure.startswith("recall@")


def _ranks(row: NDArray[Any], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """1 + how many are better, or as good and earlier: a stable sort's rank without the sort."""
    ranks = np.full(len(wanted), NEVER, np.int64)
    for number, position in enumerate(wanted):
        if position < 0:
            continue
        score = row[position]
        ranks[number] = 1 + (row > score).sum() + (row[:position] == score).sum()
    return ranks
