"""`Hit`: one record that a search found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unisem.records import Record, VectorKind


@dataclass(frozen=True, slots=True)
class Hit:
    """One record found.

    Attributes:
        record: The record.
        score: Higher is better. Of a search by vector the cosine similarity, in a calibrated space
            the calibrated one, the best over the record's vectors; by keyword BM25, above 0; of a
            hybrid search what its fusion gives; after a reranker its score.
        matched: Which vector reached that score: the ``"text"``'s, the ``"image"``'s, or the fused
            one of ``"both"``; ``"text"`` if the words did.
        relevance: The probability that the record is relevant, by the vector that matched; ``None``
            where the space has no calibration that tells, and for hits by keyword.
        judged: What a reranker gave it, before any calibration of the reranker; ``None`` where none
            was asked, or it did not judge this record.
        copies: Other records that show the same picture, in order of id, a hundred at most: of
            those that were asked for all with the same bytes, and where near duplicates make way,
            those that did. Empty where every record is a hit.
        path: Names of entities that lead from the query to the record, where a knowledge graph did:
            ``("musical instrument", "string instrument", "banjo")``; else empty.
    """

    record: Record
    score: float
    matched: VectorKind
    relevance: float | None = None
    judged: float | None = None
    path: tuple[str, ...] = ()
    copies: tuple[Record, ...] = ()

    @property
    def places(self) -> tuple[Path, ...]:
        """Every file on this machine that has the picture: the record's, and those of its copies.

        A figure's is its document.
        """
        images = [record.image for record in (self.record, *self.copies)]
        found = [image.path for image in images if image is not None and image.path is not None]
        return tuple(dict.fromkeys(found))

    def stands_for(self, record_id: str) -> bool:
        """Whether it is this record, or tells of it as a copy."""
        return any(record_id == it.id for it in (self.record, *self.copies))
