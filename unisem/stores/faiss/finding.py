"""`hits_of`: from scored vectors to hits."""

from __future__ import annotations

from unisem.records import Modality, Record
from unisem.stores.calibrated import Question
from unisem.stores.faiss.rawvectors import VectorId
from unisem.stores.faiss.segment import Found
from unisem.stores.hits import Hit


def hits_of(
    question: Question,
    found: Found,
    records: dict[int, Record],
    k: int,
) -> list[Hit]:
    """The best ``k`` hits, ties by id.

    Args:
        question: What was asked.
        found: Scores and numbers of one vector of each record.
        records: By catalogue row.
        k: How many at most.
    """
    scores, vector_ids = found
    owners = VectorId.rows(vector_ids).tolist()
    images = VectorId.are_images(vector_ids).tolist()
    hits = []
    for owner, is_image, score in zip(owners, images, scores.tolist(), strict=True):
        if owner in records:
            matched: Modality = "image" if is_image else "text"
            if question.lines is None:
                hits.append(Hit(records[owner], min(1.0, max(-1.0, score)), matched))
            else:
                chance = question.relevance(score, matched)
                hits.append(Hit(records[owner], score, matched, chance))
    hits.sort(key=lambda hit: (-hit.score, hit.record.id))
    return hits[:k]
