"""`Ranking`: what a search has found, best first, as numbers; the records are read afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisem.records import VECTOR_KINDS, Record
from unisem.stores.calibrated import Question
from unisem.stores.faiss.exact_scan import Found
from unisem.stores.faiss.rawvectors import VectorId
from unisem.stores.hits import Hit

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """One vector of each record that was found, by falling score, ties by id.

    Attributes:
        question: What was asked.
        scores: ``(n,)``, falling.
        vector_ids: ``(n,)``.
    """

    question: Question
    scores: NDArray[np.float64]
    vector_ids: Rows

    @classmethod
    def of(cls, question: Question, found: Found, k: int, by_id: Callable[[Rows], Rows]) -> Ranking:
        """The best ``k``, and all that share the score of the last of them.

        Args:
            question: What was asked.
            found: Scores, falling, and vectors, one of each record; all that tie are among them.
            k: How many, at least 1.
            by_id: Brings catalogue rows into the order of their records' ids; asked about those
                that tie. Those that are no longer there may be left out.
        """
        scores, vector_ids = np.asarray(found[0], np.float64), found[1]
        if question.lines is None:
            scores = np.clip(scores, -1.0, 1.0)
        if k < len(scores):
            kept = int(np.searchsorted(-scores, -scores[k - 1], side="right"))
            scores, vector_ids = scores[:kept], vector_ids[:kept]
        same = scores[1:] == scores[:-1]
        if same.any():
            tied = np.append(same, False) | np.append(False, same)
            rows = VectorId.rows(vector_ids[tied])
            places = {row: place for place, row in enumerate(by_id(rows).tolist())}
            place_of = np.zeros(len(scores), np.int64)
            place_of[tied] = [places.get(row, len(places)) for row in rows.tolist()]
            vector_ids = vector_ids[np.lexsort((place_of, -scores))]
        return cls(question, scores, vector_ids)

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def rows(self) -> Rows:
        """``(n,)`` the catalogue rows of the records."""
        return VectorId.rows(self.vector_ids)

    def part(self, start: int, stop: int) -> Ranking:
        """From one place to another."""
        return Ranking(self.question, self.scores[start:stop], self.vector_ids[start:stop])

    def below(self, score: float) -> Ranking:
        """What comes after all hits of a score."""
        start = int(np.searchsorted(-self.scores, -score, side="right"))
        return self.part(start, len(self))

    def hits(self, records: Mapping[int, Record]) -> list[Hit]:
        """The hits, without those of records that are no longer there.

        Args:
            records: By catalogue row.
        """
        kinds = VectorId.kinds(self.vector_ids)
        chances = self.question.relevances(self.scores, kinds)
        return [
            Hit(record, score, VECTOR_KINDS[kind], chance)
            for row, score, kind, chance in zip(
                self.rows.tolist(), self.scores.tolist(), kinds.tolist(), chances, strict=True
            )
            if (record := records.get(row)) is not None
        ]
