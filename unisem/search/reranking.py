"""`rank`: in which order a reranker puts records, for whoever keeps them in objects of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unisem.errors import RerankerError
from unisem.images.reference import ImageRef
from unisem.records import Record
from unisem.rerank.base import Reranker
from unisem.stores.hits import Hit


def rank(
    reranker: Reranker, text: str | None, image: ImageRef | None, records: Sequence[Record]
) -> list[tuple[int, float | None]]:
    """Return the records' positions, best first by the reranker's scores, ties by id.

    Records that it cannot judge come last, in the order they had, with the least score that it
    gave. If it can judge none of them all keep their order, and there is no score.

    Args:
        reranker: What scores.
        text: The query's text.
        image: The query's picture.
        records: What was found for it, best first.

    Returns:
        Each position in ``records`` once, with its score as a Python float, or ``None``.

    Raises:
        RerankerError: The reranker gives something other than one score for each record.
    """
    if not records:
        return []
    scores = np.asarray(reranker.score(text, image, records), np.float32)
    if scores.shape != (len(records),):
        raise RerankerError(
            f"{reranker.name} gave scores of the shape {scores.shape} for {len(records)} records"
        )
    judged = ~np.isnan(scores)
    if not judged.any():
        return [(position, None) for position in range(len(records))]
    known = [(position, float(scores[position])) for position in np.flatnonzero(judged).tolist()]
    known.sort(key=lambda item: (-item[1], records[item[0]].id))
    least = known[-1][1]
    return [*known, *((position, least) for position in np.flatnonzero(~judged).tolist())]


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
