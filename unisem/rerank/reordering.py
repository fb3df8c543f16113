"""`reorder`: hits in the order that a reranker gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from unisem.errors import RerankerError
from unisem.images import ImageRef
from unisem.rerank.base import Reranker

if TYPE_CHECKING:
    from unisem.search import Hit


def reorder(
    reranker: Reranker, text: str | None, image: ImageRef | None, hits: Sequence[Hit]
) -> list[Hit]:
    """Return the hits best first by the reranker's scores, ties by id.

    Hits that it cannot judge come last, in the order they had, with the least score that it gave.
    If it can judge none of them they come back as they are.

    Raises:
        RerankerError: The reranker gives something other than one score for each record.
    """
    if not hits:
        return []
    scores = np.asarray(reranker.score(text, image, [hit.record for hit in hits]), np.float32)
    if scores.shape != (len(hits),):
        raise RerankerError(
            f"{reranker.name} gave scores of the shape {scores.shape} for {len(hits)} records"
        )
    judged = ~np.isnan(scores)
    if not judged.any():
        return list(hits)
    least = float(scores[judged].min())
    known = [replace(hits[i], score=float(scores[i])) for i in np.flatnonzero(judged).tolist()]
    known.sort(key=lambda hit: (-hit.score, hit.record.id))
    return known + [replace(hits[i], score=least) for i in np.flatnonzero(~judged).tolist()]
