"""`Scores`: how high one kind of query scores one kind of vector, right ones and others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisem.calibration import Calibration
from unisem.calibration.kinds import DocumentKind
from unisem.records import Vector

_BINS = 40
_NEAR = 0.1  # share of the scores of others that compete with right ones


@dataclass(frozen=True, slots=True)
class Scores:
    """A histogram.

    Attributes:
        asked: What asks: ``"text"`` or ``"image"``.
        kind: What is scored: ``"text"`` or ``"image"``.
        edges: Of the bins, ascending; the same for all histograms of a diagnosis.
        others: Share of the scores of other records in each bin.
        own: Share of the scores of a query's own caption or picture in each bin; empty where there
            are none, as for vectors of the kind that asks.
        mean: Of the others.
        deviation: Of the others.
        near_mean: Of the highest tenth of each query's others, those that compete for its places.
        near_deviation: Of the same.
        own_mean: ``None`` where there are none.
    """

    asked: DocumentKind
    kind: DocumentKind
    edges: tuple[float, ...]
    others: tuple[float, ...]
    own: tuple[float, ...]
    mean: float
    deviation: float
    near_mean: float
    near_deviation: float
    own_mean: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Vectors of one kind with the ids of their records."""

    ids: Sequence[str]
    vectors: Vector


def compare(
    asked: dict[DocumentKind, Rows],
    stored: dict[DocumentKind, Rows],
    calibration: Calibration | None,
) -> tuple[Scores, ...]:
    """Score every query against every vector: cosines, or calibrated scores.

    Args:
        asked: Raw query vectors by kind.
        stored: Raw stored vectors by kind.
        calibration: What makes scores comparable.
    """
    found: list[tuple[DocumentKind, DocumentKind, NDArray[Any], NDArray[Any], NDArray[Any]]] = []
    for asking, queries in asked.items():
        for kind, rows in stored.items():
            if not len(queries.ids) or not len(rows.ids):
                continue
            scores = _scores(queries.vectors, asking, rows.vectors, kind, calibration)
            own = np.array(queries.ids)[:, None] == np.array(rows.ids)[None]
            if (~own).any():
                right = scores[own] if asking != kind else scores[:0].ravel()
                found.append((asking, kind, scores[~own], _nearest(scores, own), right))
    if not found:
        return ()
    everything = [part for _, _, others, _, own in found for part in (others, own) if len(part)]
    low = min(float(part.min()) for part in everything)
    high = max(float(part.max()) for part in everything)
    edges = np.linspace(low, max(high, low + 1e-6), _BINS + 1)
    return tuple(
        Scores(
            asked=asking,
            kind=kind,
            edges=tuple(map(float, edges)),
            others=_shares(others, edges),
            own=_shares(own, edges),
            mean=float(others.mean()),
            deviation=float(others.std()),
            near_mean=float(near.mean()),
            near_deviation=float(near.std()),
            own_mean=float(own.mean()) if len(own) else None,
        )
        for asking, kind, others, near, own in found
    )


def _scores(
    queries: Vector,
    asking: DocumentKind,
    rows: Vector,
    kind: DocumentKind,
    calibration: Calibration | None,
) -> NDArray[np.float64]:
    if calibration is None:
        return queries.astype(np.float64) @ rows.astype(np.float64).T
    return calibration.scores(queries, asking, rows, np.full(len(rows), kind == "image"))


def _nearest(scores: NDArray[Any], own: NDArray[np.bool_]) -> NDArray[Any]:
    """The highest tenth of each query's scores of others, all in one row."""
    count = max(1, round(_NEAR * (scores.shape[1] - 1)))
    others = np.where(own, -np.inf, scores)
    near = np.partition(others, others.shape[1] - count, axis=1)[:, -count:]
    found: NDArray[Any] = near[np.isfinite(near)]
    return found


def _shares(scores: NDArray[Any], edges: NDArray[Any]) -> tuple[float, ...]:
    if not len(scores):
        return ()
    counts, _ = np.histogram(scores, edges)
    return tuple(float(count) / len(scores) for count in counts)
