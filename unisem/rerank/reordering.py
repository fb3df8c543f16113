"""`reorder`: hits in the order that a reranker gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from unisem.images import ImageRef
from unisem.rerank.base import Reranker
from unisem.rerank.ranking import rank

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
    ranked = rank(reranker, text, image, [hit.record for hit in hits])
    return [
        hits[position] if score is None else replace(hits[position], score=score)
        for position, score in ranked
    ]
