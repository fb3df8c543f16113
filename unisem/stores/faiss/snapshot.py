"""`Snapshot`: one committed state of a space's vectors, which searches may use without a lock.

A segment holds most vectors; those added since are the tail, which is compared vector by vector.
Positions count through both, segment first. Records have ordinals, in the order of their catalogue
rows; several positions may belong to one record.

Where there is a calibration, segment and tail hold calibrated vectors, all by the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisem.calibration import EXTRA
from unisem.records import VECTOR_KINDS, Vector, VectorKind
from unisem.stores.calibrated import Calibrated, Question
from unisem.stores.faiss.exact_scan import Found, best
from unisem.stores.faiss.growing_array import GrowingArray
from unisem.stores.faiss.growing_rows import GrowingRows
from unisem.stores.faiss.index_settings import IndexKind
from unisem.stores.faiss.moments import Changes, Moment
from unisem.stores.faiss.rawvectors import VectorId
from unisem.stores.faiss.segment import Segment
from unisem.stores.selection import Match

Mask = NDArray[np.bool_]
_FEW_DEAD = 1000  # removed records that are not worth folding
_AT_ONCE = 256  # vectors that are widened together, so that they stay in a core's cache
_MARGIN = 1e-5  # how far Faiss and BLAS may be off in float32, and then some


@dataclass(frozen=True, slots=True, eq=False)
class Eligible:
    """Which positions a search may find.

    Attributes:
        segment: ``(segment,)`` mask, ``None`` for all of the segment.
        segment_count: How many of the segment's.
        tail: Which of the tail's, by index into the tail.
    """

    segment: Mask | None
    segment_count: int
    tail: NDArray[np.int64]

    @property
    def count(self) -> int:
        """How many of both."""
        return self.segment_count + len(self.tail)


class Snapshot:
    """See the module. `after` makes the next one; only the newest may be asked for it.

    Attributes:
        segment: The indexed part; ``None`` while there is none.
        moment: The write of the catalogue that this is the state after.
        calibrated: What its vectors are calibrated by; ``None`` if they are raw.
        kinds: Those that it may hold: without ``"both"`` there are no fused ones.
    """

    def __init__(
        self,
        segment: Segment | None,
        moment: Moment,
        tail: GrowingRows,
        vector_ids: GrowingArray,
        owners: GrowingArray,
        rows: GrowingArray,
        alive: GrowingArray,
        calibrated: Calibrated | None,
        kinds: tuple[VectorKind, ...],
    ) -> None:
        self.segment = segment
        self.moment = moment
        self.calibrated = calibrated
        self.kinds = kinds
        self._growing = (vector_ids, owners, rows)
        self._growing_tail = tail
        self._growing_alive = alive
        self._tail = tail.view
        self.vector_ids: NDArray[np.int64] = vector_ids.view
        self._owners: NDArray[np.int32] = owners.view
        self.rows: NDArray[np.int64] = rows.view
        self.alive: Mask = alive.view
        self._all_alive = bool(self.alive.all())
        self._one_each = len(self.rows) == len(self.vector_ids)  # so ordinals are positions

    @classmethod
    def of(
        cls, segment: Segment | None, dimension: int, calibrated: Calibrated | None = None
    ) -> Snapshot:
        """The state that a segment reflects; the empty state where there is none."""
        vector_ids = np.empty(0, np.int64) if segment is None else segment.vector_ids
        row_of = VectorId.rows(vector_ids)
        is_first = np.ones(len(row_of), np.bool_)  # of its record; numbers ascend, so rows do
        np.not_equal(row_of[1:], row_of[:-1], out=is_first[1:])
        owners = np.cumsum(is_first, dtype=np.int32)
        owners -= 1
        rows = row_of if is_first.all() else row_of[is_first]
        return cls(
            segment,
            Moment("", 0) if segment is None else segment.moment,
            GrowingRows(dimension + (EXTRA if calibrated else 0)),
            GrowingArray(vector_ids),
            GrowingArray(owners),
            GrowingArray(rows),
            GrowingArray(np.ones(len(rows), np.bool_)),
            calibrated,
            _kinds_with(vector_ids),
        )

    def after(self, changes: Changes) -> Snapshot:
        """The state after a later write; this one stays as it is."""
        vector_ids, owners, rows = self._growing
        tail, alive, kinds = self._growing_tail, self._growing_alive, self.kinds
        if len(changes.removed_rows):
            gone = self.ordinals(changes.removed_rows)
            alive = GrowingArray(self.alive.copy())  # searches that run keep the old one
            alive.view[gone] = False
        if len(changes.vector_ids):
            row_of = VectorId.rows(changes.vector_ids)
            starts = np.diff(row_of, prepend=-1) != 0
            owners.append((len(self.rows) - 1 + np.cumsum(starts)).astype(np.int32))
            rows.append(row_of[starts])
            alive.append(np.ones(int(starts.sum()), np.bool_))
            vector_ids.append(changes.vector_ids)
            kinds = max(kinds, _kinds_with(changes.vector_ids), key=len)
            tail.append(self._searched(changes.vectors, changes.vector_ids))
        return Snapshot(
            self.segment,
            changes.moment,
            tail,
            vector_ids,
            owners,
            rows,
            alive,
            self.calibrated,
            kinds,
        )

    @property
    def dimension(self) -> int:
        """Length of a raw vector."""
        return self._tail.width - (EXTRA if self.calibrated else 0)

    @property
    def last_vector_id(self) -> int:
        """The largest number that this state knows of; -1 if none."""
        return int(self.vector_ids[-1]) if len(self.vector_ids) else -1

    @property
    def dead_share(self) -> float:
        """Which share of the records that the arrays hold has been removed."""
        return 0.0 if self._all_alive else 1 - float(self.alive.mean())

    @property
    def index_kind(self) -> IndexKind | None:
        """Kind of the segment; ``None`` while everything is scanned."""
        return None if self.segment is None else self.segment.kind

    @property
    def is_mostly_dead(self) -> bool:
        """Whether the arrays hold more removed records than living ones, and not just a few."""
        dead = 0 if self._all_alive else len(self.alive) - int(np.count_nonzero(self.alive))
        return dead > max(_FEW_DEAD, len(self.alive) - dead)

    @property
    def is_empty(self) -> bool:
        """Whether no record lives."""
        return not (len(self.alive) if self._all_alive else self.alive.any())

    @property
    def tail_length(self) -> int:
        """How many vectors are compared one by one."""
        return len(self._tail)

    def ordinals(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Ordinals of those rows that this state holds."""
        places = np.searchsorted(self.rows, rows)
        places = np.minimum(places, max(0, len(self.rows) - 1))
        if not len(self.rows):
            return np.empty(0, np.int64)
        known: NDArray[np.int64] = places[self.rows[places] == rows]
        return known

    def eligible(self, records: Mask | None, match: Match) -> Eligible:
        """Which positions belong to the chosen records and are of the chosen kind.

        Args:
            records: By ordinal, living ones only; ``None`` for all that live.
            match: Which kind of vector may be compared.
        """
        indexed = 0 if self.segment is None else len(self.segment)
        if records is None and not self._all_alive:
            records = self.alive
        if records is None and match == "any":
            return Eligible(None, indexed, np.arange(len(self._tail)))
        if records is None:
            mask = np.ones(len(self.vector_ids), np.bool_)
        elif self._one_each:
            mask = records.copy()
        else:
            mask = records[self._owners]
        if match != "any":
            mask &= VectorId.kinds(self.vector_ids) == VECTOR_KINDS.index(match)
        count = int(np.count_nonzero(mask[:indexed]))
        segment = None if count == indexed else mask[:indexed]
        return Eligible(segment, count, np.flatnonzero(mask[indexed:]))

    def search(
        self, questions: Sequence[Question], k: int, parts: Sequence[Eligible]
    ) -> list[Found]:
        """Find the best records of each query.

        Each part is searched apart; their best, brought to one scale, are the best of all.

        Args:
            questions: Compared by this state's calibration.
            k: Records per query.
            parts: Which positions may be found; one part for each kind of vector, or for all kinds
                if those are of one scale.

        Returns:
            For each query the exact scores, descending, and vector numbers of at least ``k``
            records or of all there are: one vector each, its best. Records tied with the ``k``-th
            are all there, so that the caller can break ties its own way.

        Raises:
            DamagedVectorsError: Vectors of the segment do not agree with their checksums.
        """
        nothing: Found = (np.empty(0, np.float32), np.empty(0, np.int64))
        results = [nothing] * len(questions)
        pending = list(range(len(questions))) if k else []
        fetch = k + 8 if self._one_each else 2 * k + 8
        while pending:
            queries = np.stack([questions[place].vector for place in pending])
            fetched = [self._search_segment(queries, fetch, part) for part in parts]
            unfinished: list[int] = []
            for number, place in enumerate(pending):
                likely, least, unseen = self._merged(
                    questions[place], [found[number] for found in fetched], parts, fetch, k
                )
                if unseen < least or unseen == -np.inf:
                    results[place] = self._score(questions[place], likely)
                else:
                    unfinished.append(place)
            pending = unfinished
            fetch *= 4
        return results

    def _merged(
        self,
        question: Question,
        fetched: Sequence[Found],
        parts: Sequence[Eligible],
        fetch: int,
        k: int,
    ) -> tuple[NDArray[np.int64], float, float]:
        """Positions that may be among the best, the least score of these, and of what was unseen.

        Args:
            question: The query.
            fetched: What it found in each part's segment.
            parts: Which positions may be found.
            fetch: How many were wanted.
            k: Records.
        """
        unseen = -np.inf
        every: list[Found] = []
        for (scores, positions), part in zip(fetched, parts, strict=True):
            tail_scores, tail_positions = self._compare_tail(question.vector, part, fetch)
            for products, places, count in (
                (scores, positions, part.segment_count),
                (tail_scores, tail_positions, len(part.tail)),
            ):
                comparable = self._scored(question, products, places)
                every.append((comparable, places))
                if len(places) < count:  # what was not fetched scores at most this much
                    unseen = max(unseen, float(comparable[-1]))
        likely, least = self._likely(
            np.concatenate([scores for scores, _ in every]),
            np.concatenate([positions for _, positions in every]),
            k,
            question.steepness * _MARGIN,
        )
        return likely, least, unseen

    def _scored(
        self, question: Question, products: NDArray[np.floating[Any]], positions: NDArray[np.int64]
    ) -> NDArray[np.floating[Any]]:
        if question.lines is None:
            return products
        return question.scores(products, VectorId.kinds(self.vector_ids[positions]))

    def _searched(self, vectors: Vector, vector_ids: NDArray[np.int64]) -> Vector:
        """Raw vectors as they are searched."""
        if self.calibrated is None:
            return vectors
        return self.calibrated.calibration.documents(vectors, VectorId.kinds(vector_ids))

    def _likely(
        self,
        scores: NDArray[np.floating[Any]],
        positions: NDArray[np.int64],
        k: int,
        margin: float,
    ) -> tuple[NDArray[np.int64], float]:
        """Positions that may be among the best ``k`` records, and the least score of these."""
        order = np.argsort(-scores, kind="stable")
        first = self._first_of_each(positions[order])
        if len(first) <= k:
            return positions, -np.inf
        least = float(scores[order[first[k - 1]]]) - margin
        return positions[scores >= least], least

    def _first_of_each(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where each record comes first in a list of positions, ascending."""
        if self._one_each:
            return np.arange(len(positions))
        _, first = np.unique(self._owners[positions], return_index=True)
        return np.sort(first)

    def _score(self, question: Question, positions: NDArray[np.int64]) -> Found:
        """Score positions exactly, and keep each record's best vector, best first.

        Every score comes from here, so that equal vectors have equal scores whichever part holds
        them and whatever kind of index found them.
        """
        indexed = 0 if self.segment is None else len(self.segment)
        query = question.vector.astype(np.float64)
        products = np.empty(len(positions), np.float64)
        for start in range(0, len(positions), _AT_ONCE):
            some = positions[start : start + _AT_ONCE]
            in_tail = some >= indexed
            vectors = np.empty((len(some), len(query)), np.float32)
            vectors[in_tail] = self._tail.at(some[in_tail] - indexed)
            if self.segment is not None:
                vectors[~in_tail] = self.segment.vectors_at(some[~in_tail])
            # Without BLAS, whose result for a row depends on the rows around it.
            products[start : start + _AT_ONCE] = np.einsum(
                "ij,j->i", vectors.astype(np.float64), query
            )
        scores = self._scored(question, products, positions)
        order = np.lexsort((positions, -scores))
        kept = order[self._first_of_each(positions[order])]
        return scores[kept], self.vector_ids[positions[kept]]

    def _search_segment(self, queries: Vector, fetch: int, eligible: Eligible) -> list[Found]:
        if self.segment is None:
            return [(np.empty(0, np.float32), np.empty(0, np.int64)) for _ in queries]
        return self.segment.search(queries, fetch, eligible.segment, eligible.segment_count)

    def _compare_tail(self, query: Vector, eligible: Eligible, fetch: int) -> Found:
        is_whole = len(eligible.tail) == len(self._tail)
        scores = self._tail.products(query, None if is_whole else eligible.tail)
        indexed = 0 if self.segment is None else len(self.segment)
        return best(scores, eligible.tail + indexed, fetch)


def _kinds_with(vector_ids: NDArray[np.int64]) -> tuple[VectorKind, ...]:
    """Every kind, fused vectors only if there are some: each is searched apart."""
    fused = VECTOR_KINDS.index("both")
    return VECTOR_KINDS if (VectorId.kinds(vector_ids) == fused).any() else VECTOR_KINDS[:fused]
