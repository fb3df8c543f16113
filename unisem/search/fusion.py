"""Fusion: one ranked list made of several, for hybrid search.

A vector search's cosines and a keyword search's BM25 scores have no common scale. `RankFusion`
looks at ranks only, `WeightedFusion` brings each list's scores to 0 .. 1 first. Both are pure and
deterministic: equal scores are in the order of ids.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unisem.stores.hits import Hit


class Fusion(ABC):
    """How the hits by vector and the hits by keyword become one list."""

    @abstractmethod
    def fuse(self, by_vector: Sequence[Hit], by_keyword: Sequence[Hit]) -> list[Hit]:
        """Return every record of either list once, best first, with its score, at least 0."""


@dataclass(frozen=True, slots=True)
class RankFusion(Fusion):
    """Reciprocal rank fusion, see `reciprocal_rank_fusion`.

    Attributes:
        k: Larger values let lower ranks count for more.
    """

    k: float = 60

    def __post_init__(self) -> None:
        _check_constant(self.k)

    def fuse(self, by_vector: Sequence[Hit], by_keyword: Sequence[Hit]) -> list[Hit]:
        """Return every record of either list once, best first, with its fused score."""
        return reciprocal_rank_fusion([by_vector, by_keyword], k=self.k)


@dataclass(frozen=True, slots=True)
class WeightedFusion(Fusion):
    """Weighted sum of scores brought to 0 .. 1, see `weighted_fusion`.

    Attributes:
        vector: The share of the vector's list, from 0 to 1; the keywords have the rest. (Also
            called alpha.)
    """

    vector: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.vector <= 1:
            raise ValueError(f"vector must be between 0 and 1, not {self.vector!r}")

    def fuse(self, by_vector: Sequence[Hit], by_keyword: Sequence[Hit]) -> list[Hit]:
        """Return every record of either list once, best first, with its fused score."""
        return weighted_fusion([by_vector, by_keyword], [self.vector, 1 - self.vector])


def reciprocal_rank_fusion(rankings: Sequence[Sequence[Hit]], *, k: float = 60) -> list[Hit]:
    """Score each record by the sum of ``1 / (k + rank)`` over the lists that have it.

    Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and
    individual Rank Learning Methods" (SIGIR 2009), which uses ``k = 60``.

    Args:
        rankings: Lists of hits, best first; ranks count from 1.
        k: At least 0.

    Returns:
        Each record once, best first, ties by id. `Hit.matched` is that of the list to which the
        record owes most.
    """
    _check_constant(k)
    return _combined(
        [[(hit, 1 / (k + rank)) for rank, hit in enumerate(hits, start=1)] for hits in rankings]
    )


def weighted_fusion(rankings: Sequence[Sequence[Hit]], weights: Sequence[float]) -> list[Hit]:
    """Score each record by the weighted sum of its min-max-normalised scores.

    In each list the best score becomes 1 and the worst 0; if all are equal, all become 1. A record
    that a list does not have gets 0 from it, so its last hit gains nothing from being there.

    Args:
        rankings: Lists of hits, in any order.
        weights: One for each list, at least 0.

    Returns:
        As `reciprocal_rank_fusion`.
    """
    if len(weights) != len(rankings):
        raise ValueError(f"{len(rankings)} lists but {len(weights)} weights")
    if any(not math.isfinite(weight) or weight < 0 for weight in weights):
        raise ValueError(f"weights must be at least 0, not {list(weights)}")
    return _combined(
        [
            [
                (hit, weight * share)
                for hit, share in zip(hits, _normalised([hit.score for hit in hits]), strict=True)
            ]
            for hits, weight in zip(rankings, weights, strict=True)
        ]
    )


def _normalised(scores: Sequence[float]) -> list[float]:
    """Scores brought to 0 .. 1 by their least and greatest; all 1 if those are equal."""
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    return [1.0 if low == high else (score - low) / (high - low) for score in scores]


def _combined(lists: Sequence[Sequence[tuple[Hit, float]]]) -> list[Hit]:
    shares: dict[str, list[float]] = {}
    best: dict[str, tuple[Hit, float]] = {}
    for contributions in lists:
        for hit, share in contributions:
            name = hit.record.id
            shares.setdefault(name, []).append(share)
            if name not in best or share > best[name][1]:
                best[name] = hit, share
    fused = [replace(hit, score=math.fsum(shares[name])) for name, (hit, _) in best.items()]
    return sorted(fused, key=lambda hit: (-hit.score, hit.record.id))


def _check_constant(k: float) -> None:
    if not math.isfinite(k) or k < 0:
        raise ValueError(f"k must be at least 0, not {k!r}")
