"""`Answers`: what an encoder found for every query of a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unisem.calibration import Calibration, QueryKind
from unisem.evaluation.embeddings import Embeddings
from unisem.evaluation.ranking import Ranking
from unisem.evaluation.tasks import Form, RetrievalTask, form_of
from unisem.records import Vector

Positions = NDArray[np.int64]
_SCORES_AT_ONCE = 8_000_000  # 64 MB in float64
_ASKED: dict[Form, QueryKind] = {"text": "text", "image": "image", "captioned image": "both"}


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The ranking of a task by exact search, and the candidates that came first.

    Attributes:
        task: What was asked.
        ranking: Ranks of the relevant candidates.
        wanted: ``(queries,)`` positions of the relevant candidate that was found first; -1 where
            none can be found.
        top: ``(queries, depth)`` positions of the best candidates, best first.
        scores: ``(queries, depth)`` float32 cosines of those, or calibrated scores.
        wanted_scores: ``(queries,)`` float32, the same of ``wanted``; not a number where that is
            -1.
    """

    task: RetrievalTask
    ranking: Ranking
    wanted: Positions = field(repr=False)
    top: Positions = field(repr=False)
    scores: Vector = field(repr=False)
    wanted_scores: Vector = field(repr=False)

    @classmethod
    def of(
        cls,
        task: RetrievalTask,
        embeddings: Embeddings,
        *,
        calibration: Calibration | None = None,
        depth: int = 10,
    ) -> Answers:
        """Compare every query with every candidate.

        Args:
            task: Has at least one query and one candidate.
            embeddings: Vectors of all its queries and candidates.
            calibration: What makes scores comparable; queries must then be of one form.
            depth: How many of the best candidates to keep.

        Raises:
            ValueError: Calibrated queries of several forms.
        """
        vectors, starts, kinds = embeddings.of_candidates(task.candidates)
        queries = embeddings.of_queries(task.queries)
        if calibration is None:
            return cls.among(task, queries, vectors, starts, depth=depth)
        forms = {form_of(record) for record in task.queries}
        if len(forms) > 1:
            raise ValueError(f"task {task.name!r}: calibrated queries must be of one form")
        asked = _ASKED[forms.pop()]
        return cls._ranked(
            task,
            starts,
            lambda here: calibration.scores(queries[here], asked, vectors, kinds),
            depth,
        )

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
        return cls._ranked(task, starts, lambda here: asked[here] @ documents, depth)

    @classmethod
    def _ranked(
        cls,
        task: RetrievalTask,
        starts: Positions,
        compare: Callable[[slice], NDArray[np.float64]],
        depth: int,
    ) -> Answers:
        """Rank by scores of some queries with all vectors."""
        position = {record.id: number for number, record in enumerate(task.candidates)}
        relevant = [[position.get(name, -1) for name in wanted] for wanted in task.relevant]
        gains = [list(wanted.values()) for wanted in task.relevant]
        depth = min(depth, len(task.candidates))
        rankings, wanted, wanted_scores, top, top_scores = [], [], [], [], []
        step = max(1, _SCORES_AT_ONCE // (3 * len(starts)))  # a record has three vectors at most
        for start in range(0, len(task.queries), step):
            here = slice(start, start + step)
            every = compare(here).astype(np.float32)
            scores = np.maximum.reduceat(every, starts, axis=1)  # (step, n): a record's best
            for row, hidden in zip(scores, task.hidden[here], strict=False):
                if hidden is not None:
                    row[position[hidden]] = -np.inf
            rankings.append(Ranking.of(scores, relevant[here], gains[here]))
            for row, positions in zip(scores, relevant[here], strict=True):
                there = [place for place in positions if place >= 0]
                first = min(there, key=lambda place: (-row[place], place), default=-1)
                wanted.append(first)
                wanted_scores.append(row[first] if there else np.nan)
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
