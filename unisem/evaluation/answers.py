"""`Answers`: what an encoder found for every query of a task."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unisem.evaluation.embeddings import Embeddings
from unisem.evaluation.ranking import Ranking
from unisem.evaluation.tasks import RetrievalTask
from unisem.records import Vector

Positions = NDArray[np.int64]
_SCORES_AT_ONCE = 8_000_000  # 64 MB in float64


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The ranking of a task by exact search, and the candidates that came first.

    Attributes:
        task: What was asked.
        ranking: Ranks of the relevant candidates.
        wanted: ``(queries,)`` positions of the relevant candidate that was found first.
        top: ``(queries, depth)`` positions of the best candidates, best first.
        scores: ``(queries, depth)`` float32 cosines of those.
        wanted_scores: ``(queries,)`` float32 cosines of ``wanted``.
    """

    task: RetrievalTask
    ranking: Ranking
    wanted: Positions = field(repr=False)
    top: Positions = field(repr=False)
    scores: Vector = field(repr=False)
    wanted_scores: Vector = field(repr=False)

    @classmethod
    def of(cls, task: RetrievalTask, embeddings: Embeddings, *, depth: int = 10) -> Answers:
        """Compare every query with every candidate.

        Args:
            task: Has at least one query and one candidate.
            embeddings: Vectors of all its queries and candidates.
            depth: How many of the best candidates to keep.
        """
        vectors, starts = embeddings.of_candidates(task.candidates)
        return cls.among(task, embeddings.of_queries(task.queries), vectors, starts, depth=depth)

    @classmethod
    def among(
        cls,
        task: RetrievalTask,
        queries: Vector,
        vectors: Vector,
        starts: Positions,
        *,
        depth: int = 10,
    ) -> Answers:
        """As `of`, with vectors that are at hand.

        Cosines are summed in float64 and compared in float32: candidates of equal vectors then
        have equal scores whatever the machine's blocking of matrix products, and ties are broken
        by id everywhere alike.

        Args:
            task: Has at least one query and one candidate.
            queries: ``(queries, d)`` unit rows.
            vectors: ``(v, d)`` unit rows of the candidates, in their order.
            starts: ``(candidates,)`` where each one's rows begin.
            depth: How many of the best candidates to keep.
        """
        asked = queries.astype(np.float64)  # (q, d)
        documents = vectors.astype(np.float64).T  # (d, v)
        position = {record.id: number for number, record in enumerate(task.candidates)}
        relevant = [[position[name] for name in wanted] for wanted in task.relevant]
        gains = [list(wanted.values()) for wanted in task.relevant]
        depth = min(depth, len(task.candidates))
        rankings, wanted, wanted_scores, top, top_scores = [], [], [], [], []
        step = max(1, _SCORES_AT_ONCE // documents.shape[1])
        for start in range(0, len(asked), step):
            cosines = (asked[start : start + step] @ documents).astype(np.float32)
            scores = np.maximum.reduceat(cosines, starts, axis=1)  # (step, n): a record's best
            here = slice(start, start + len(scores))
            rankings.append(Ranking.of(scores, relevant[here], gains[here]))
            for row, positions in zip(scores, relevant[here], strict=True):
                first = min(positions, key=lambda place: (-row[place], place))
                wanted.append(first)
                wanted_scores.append(row[first])
                best = _best(row, depth)
                top.append(best)
                top_scores.append(row[best])
        return cls(
            task,
            Ranking.joined(rankings),
            np.array(wanted, np.int64),
            np.array(top, np.int64),
            np.array(top_scores, np.float32),
            np.array(wanted_scores, np.float32),
        )


def _best(row: Vector, depth: int) -> Positions:
    """Positions of the best, ties by position; only what can be among them is sorted."""
    least = np.partition(row, len(row) - depth)[len(row) - depth]
    candidates = np.flatnonzero(row >= least)
    best: Positions = candidates[np.argsort(-row[candidates], kind="stable")[:depth]]
    return best
