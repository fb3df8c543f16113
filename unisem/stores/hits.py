"""`Hit`: one record that a search found."""

from __future__ import annotations

from dataclasses import dataclass

from unisem.records import Modality, Record


@dataclass(frozen=True, slots=True)
class Hit:
    """One record found.

    Attributes:
        record: The record.
        score: Higher is better. Of a search by vector the cosine similarity, in a calibrated space
            the calibrated one, the best over the record's vectors; by keyword BM25, above 0; of a
            hybrid search what its fusion gives; after a reranker its score.
        matched: Which vector reached that score; ``"text"`` if the words did.
        relevance: The probability that the record is relevant, by the vector that matched; ``None``
            where the space has no calibration that tells, and for hits by keyword.
        judged: What a reranker gave it, before any calibration of the reranker; ``None`` where none
            was asked, or it did not judge this record.
        path: Names of entities that lead from the query to the record, where a knowledge graph did:
            ``("musical instrument", "string instrument", "banjo")``; else empty.
    """

    record: Record
    score: float
    matched: Modality
    relevance: float | None = None
    judged: float | None = None
    path: tuple[str, ...] = ()
