"""`Finding`: the best records of a question, exactly as many as there are to be found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from unisem.calibration import DocumentKind, QueryKind
from unisem.records import VECTOR_KINDS, Record, Vector, VectorKind
from unisem.stores.calibrated import Question
from unisem.stores.hits import Hit
from unisem.stores.milvus.batches import WHOLE, Batches
from unisem.stores.milvus.rows import RECORD
from unisem.stores.milvus.selecting import Chosen
from unisem.stores.milvus.server import MOST, Row
from unisem.stores.milvus.space import Space
from unisem.stores.selection import Match

_FIELDS = ("record", "key", "kind", "vector")
_SAID = '(role in ["record", "piece"])'
_MARGIN = 16  # more rows than are wanted: a record has several, and equal scores go by id
_ROUNDING = 1e-6  # by how much Milvus's products may differ from ours
_ALL = float("-inf")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A row that was found, and the record that it says it is of."""

    score: float
    kind: VectorKind
    pk: str
    key: str


_Found = tuple[list[_Candidate], float]
"""Candidates, and the best score that a row may have which is not among them."""


class Finding:
    """Searches the collections of a space.

    Milvus gives the best rows. A record has several, two of one score go by id, and a row may be of
    a record that has just been replaced; so a few more are asked for than are wanted, and again
    more, until it is certain which records are the best. Scores are computed here, of the vectors
    that come with the rows, and are the same whatever the index.

    Args:
        space: Where they are.
        batches: Which rows count.
        index: Kind of index of the vectors.
        effort: See `MilvusKind`.
        records: Makes records of their first rows.
    """

    def __init__(
        self,
        space: Space,
        batches: Batches,
        index: str,
        effort: int,
        records: Callable[[Sequence[Row]], list[Record]],
    ) -> None:
        self._space = space
        self._batches = batches
        self._index = index
        self._effort = effort
        self._records = records

    def by_vector(
        self, queries: Vector, k: int, picked: Chosen, match: Match, asked: QueryKind
    ) -> list[list[Hit]]:
        """The best records of each query, by vector."""
        space = self._space
        kinds = VECTOR_KINDS if match == "any" else (match,)
        calibrated = space.calibrated()
        collection = space.vectors if calibrated is None else space.of(calibrated)
        expressions = {kind: f'{picked.expression} and (kind == "{kind}")' for kind in kinds}
        if calibrated is None:
            questions = [Question(row) for row in queries]
        else:
            may_fuse = match == "both" or space.has_fused()
            counts: dict[DocumentKind, int] = {
                kind: space.server.count(collection, text) if kind != "both" or may_fuse else 0
                for kind, text in expressions.items()
            }
            # Of each kind, though most spaces have no fused vectors: one may be added meanwhile.
            questions = calibrated.questions(queries, asked, counts)
            if match == "any" and not counts["both"]:
                del expressions["both"]
        if all(question.is_one_scale for question in questions):
            searched = [picked.expression if match == "any" else expressions[match]]
        else:
            searched = list(expressions.values())
        limit = min(max(2 * k, k + _MARGIN), MOST)
        first = [self._rows(collection, questions, text, limit) for text in searched]
        found = []
        for number, question in enumerate(questions):

            def ask(most: int, number: int = number, question: Question = question) -> _Found:
                if most == limit:
                    given = [one[number] for one in first]
                elif most <= MOST:
                    given = [self._rows(collection, [question], it, most)[0] for it in searched]
                else:
                    pages = (self._space.server.pages(collection, it, _FIELDS) for it in searched)
                    return self._scored(chain.from_iterable(chain(*pages)), question), _ALL
                scored = [one for rows in given for one in self._scored(rows, question)]
                return scored, max(self._rest(rows, most, question) for rows in given)

            found.append(self._best(ask, k, limit, picked, question))
        return found

    def by_words(self, text: str, k: int, picked: Chosen) -> list[Hit]:
        """The best records by words."""
        server, records = self._space.server, self._space.records
        expression = f"{_SAID} and {picked.expression}"

        def ask(most: int) -> _Found:
            most = min(most, MOST)  # and no more: there is no other way to these scores
            rows = server.search(records, [text], expression, most, {}, ("pk", "key"))[0]
            found = [
                _Candidate(row["score"], "text", row["pk"][:RECORD], row["key"]) for row in rows
            ]
            return found, rows[-1]["score"] if most <= len(rows) < MOST else _ALL

        return self._best(ask, k, min(k + _MARGIN, MOST), picked, None)

    def _rows(
        self, collection: str, questions: Sequence[Question], expression: str, limit: int
    ) -> list[list[Row]]:
        effort = self._space.effort(self._index, self._effort, limit)
        asked = [question.vector for question in questions]
        return self._space.server.search(collection, asked, expression, limit, effort, _FIELDS)

    def _scored(self, rows: Iterable[Row], question: Question) -> list[_Candidate]:
        found = []
        for row in rows:
            score = _score(_product(row, question), row["kind"], question)
            found.append(_Candidate(score, row["kind"], row["record"], row["key"]))
        return found

    def _rest(self, rows: list[Row], limit: int, question: Question) -> float:
        """The best score that a row may have which Milvus did not give."""
        if len(rows) < limit:
            return _ALL
        product = min(_product(row, question) for row in rows[-_MARGIN:]) + _ROUNDING
        return max(_score(product, kind, question) for kind in {row["kind"] for row in rows})

    def _best(
        self,
        ask: Callable[[int], _Found],
        k: int,
        limit: int,
        picked: Chosen,
        question: Question | None,
    ) -> list[Hit]:
        while True:
            candidates, rest = ask(limit)
            hits = self._hits(candidates, k, rest, picked, question)
            if rest == _ALL or (len(hits) >= k and hits[k - 1].score > rest):
                hits.sort(key=lambda hit: (-hit.score, hit.record.id))
                return hits[:k]
            limit = min(4 * limit, MOST) if limit < MOST else MOST + 1

    def _hits(
        self,
        candidates: list[_Candidate],
        k: int,
        rest: float,
        picked: Chosen,
        question: Question | None,
    ) -> list[Hit]:
        """Hits by falling score: the best ``k``, and all that share the last one's score."""
        best: dict[str, _Candidate] = {}
        for one in candidates:
            known = best.get(one.pk)
            if known is None or (one.score, one.kind) > (known.score, known.kind):
                best[one.pk] = one
        ordered = sorted(best.values(), key=lambda one: -one.score)
        hits: list[Hit] = []
        place = 0
        while place < len(ordered):
            if len(hits) >= k and ordered[place].score < hits[k - 1].score:
                break
            part = ordered[place : place + max(k - len(hits), _MARGIN)]
            rows = self._batches.of_keys([one.key for one in part], WHOLE)
            records = dict(zip(rows, self._records(list(rows.values())), strict=True))
            for one in part:
                # Else its record has been replaced or removed, or its batch does not count.
                if one.key in rows and rows[one.key]["pk"] == one.pk:
                    record = records[one.key]
                    if picked.holds(record):
                        chance = None
                        if question is not None:
                            chance = question.relevance(one.score, one.kind)
                        hits.append(Hit(record, one.score, one.kind, chance))
            place += len(part)
        return hits


def _product(row: Row, question: Question) -> float:
    """The same for the same vector wherever it stands, as no product of matrices is."""
    return float(np.dot(np.asarray(row["vector"], np.float64), question.vector.astype(np.float64)))


def _score(product: float, kind: VectorKind, question: Question) -> float:
    if question.lines is None:
        return min(1.0, max(-1.0, product))
    return float(question.scores(np.array([product]), np.array([VECTOR_KINDS.index(kind)]))[0])
