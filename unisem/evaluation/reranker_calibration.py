"""`calibrate_reranker`: what a reranker's scores are worth, by questions with known answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from unisem.errors import CalibrationError
from unisem.evaluation.asked_queries import AskedQuery
from unisem.rerank import Reranker
from unisem.search.query import Query
from unisem.search.rerank_calibration import RerankCalibration
from unisem.space import SemanticSpace


def calibrate_reranker(
    space: SemanticSpace,
    reranker: Reranker,
    queries: Sequence[AskedQuery],
    *,
    candidates: int = 50,
    progress: Callable[[int, int], None] | None = None,
) -> RerankCalibration:
    """Fit a reranker's calibration, and the share of the search's score, to held-out questions.

    Each question is searched for by meaning, and all that is found is judged.

    Args:
        space: Where the answers are.
        reranker: What judges.
        queries: Questions whose ``relevant`` records are known. Neither the reranker nor the
            encoder may have learned from them, or the probabilities flatter.
        candidates: How many hits of each question are judged.
        progress: Called with (questions done, questions in all).

    Raises:
        CalibrationError: No question has a known answer, or too few; see `RerankCalibration.fit`.
    """
    known = [query for query in queries if query.relevant]
    if not known:
        raise CalibrationError("no query says which records are relevant to it; `relevant` does")
    judged, own, relevant = [], [], []
    for done, query in enumerate(known, start=1):
        hits = space.search_query(Query(text=query.text, k=candidates, duplicates="keep"))
        scores = reranker.score(query.text, None, [hit.record for hit in hits])
        judged.append(np.asarray(scores, np.float64))
        own.append(np.array([hit.score for hit in hits], np.float64))
        relevant.append(np.array([hit.record.id in query.relevant for hit in hits], bool))
        if progress is not None:
            progress(done, len(known))
    return RerankCalibration.fit(judged, own, relevant)
