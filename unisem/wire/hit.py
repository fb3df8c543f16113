"""`WireHit`: one record that a search found, as JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from pydantic import Field

from unisem.records import Record, VectorKind
from unisem.stores.hits import Hit
from unisem.wire.base import WireModel
from unisem.wire.record import WireRecord


class WireHit(WireModel):
    """One record found. Numbers are written so that they are read back equal to the bit."""

    record: WireRecord = Field(description="The record.")
    score: float = Field(
        description="Higher is better: a cosine, by keyword BM25, or what a fusion or a reranker "
        "gives.",
        examples=[0.3127],
    )
    matched: VectorKind = Field(description="Which of the record's vectors reached the score.")
    relevance: float | None = Field(
        None, description="The probability that it is relevant, in a calibrated space."
    )
    judged: float | None = Field(None, description="What a reranker gave it.")
    path: list[str] = Field(
        default_factory=list,
        description="Names of entities of a knowledge graph that lead from the query to the "
        "record; empty where it had no part.",
    )

    copies: list[WireRecord] = Field(
        default_factory=list,
        description="Other records that show the same picture, a hundred at most.",
    )

    @classmethod
    def of(cls, hit: Hit, url: Callable[[Record], str]) -> Self:
        """Write a hit; ``url`` tells where a record's picture is, if it has one."""
        return cls.model_construct(
            record=WireRecord.of(hit.record, url(hit.record)),
            score=hit.score,
            matched=hit.matched,
            relevance=hit.relevance,
            judged=hit.judged,
            path=list(hit.path),
            copies=[WireRecord.of(record, url(record)) for record in hit.copies],
        )

    def to_core(self, record: Callable[[WireRecord], Record]) -> Hit:
        """Rebuild the hit; ``record`` rebuilds a record whose picture the service holds."""
        return Hit(
            record(self.record),
            self.score,
            self.matched,
            self.relevance,
            self.judged,
            tuple(self.path),
            tuple(map(record, self.copies)),
        )
