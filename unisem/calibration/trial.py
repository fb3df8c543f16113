"""`Trial`: a calibration of one half of a sample, tried on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unisem.calibration.calibration import AskedVector, Calibration, Choices, Pair, Pairs
from unisem.calibration.kinds import SIDES, DocumentKind
from unisem.calibration.reference import scaled
from unisem.calibration.sample import Sample
from unisem.calibration.scale import Floats
from unisem.records import Modality

KIN = 5
"""Others of its kind that belong to each vector: half of the first ten places."""
_DEPTH = 10
_DISCOUNT = 1 / np.log2(np.arange(2, _DEPTH + 2))


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What queries of one kind found among vectors of one kind.

    Attributes:
        scores: ``(q, n)`` standard scores; minus infinity where the query is a copy.
        right: ``(q, n)`` whether query and vector belong together, copies left out.
        asked: The queries.
        near: ``(q,)`` the mean score of each query against the nearest of a bank; empty where
            nobody needs it.
    """

    scores: Floats
    right: NDArray[np.bool_]
    asked: Sequence[AskedVector] = ()
    near: Floats = field(default_factory=lambda: np.empty(0))

    def by_product(self, kind: DocumentKind) -> Judged:
        """The same with the usual hub bias put back, and how near the queries are to much else.

        Args:
            kind: What is found.
        """
        first = self.asked[0]
        bias = first.calibration.usual_bias[first.kind, kind]
        near = np.array([query.cohort(kind)[0] for query in self.asked]) + bias
        return replace(self, scores=self.scores + bias, near=near)

    @property
    def answerable(self) -> NDArray[np.bool_]:
        """``(q,)`` whether a query has an answer here."""
        return np.asarray(self.right.any(axis=1), bool)

    def tops(self) -> tuple[Floats, NDArray[np.bool_], Floats]:
        """Scores of the first hit and labels, with the answers there, and again without them.

        And how near the queries are, if that is known.
        """
        scores, right = self.scores[self.answerable], self.right[self.answerable]
        first = scores.argmax(axis=1)
        wrong = np.where(right, -np.inf, scores).max(axis=1)
        rows = np.arange(len(scores))
        labels = np.concatenate([right[rows, first], np.zeros(len(scores), bool)])
        near = self.near[self.answerable] if len(self.near) else self.near
        return np.concatenate([scores[rows, first], wrong]), labels, np.tile(near, 2)

    def top(self) -> NDArray[np.int64]:
        """``(q, 10)`` places of the best, best first; fewer where there are fewer."""
        depth = min(_DEPTH, self.scores.shape[1])
        top = np.argpartition(-self.scores, depth - 1, axis=1)[:, :depth]
        order = np.argsort(-np.take_along_axis(self.scores, top, axis=1), axis=1, kind="stable")
        found: NDArray[np.int64] = np.take_along_axis(top, order, axis=1)
        return found

    @property
    def chance(self) -> float:
        """nDCG@10 of one right answer in a list of no order."""
        return float(_DISCOUNT.sum() / max(self.scores.shape[1], len(_DISCOUNT)))

    def ndcg(self) -> Floats:
        """``(answerable queries,)`` of nDCG@10."""
        right = self.right[self.answerable]
        if not len(right):
            return np.empty(0)
        top = self.top()[self.answerable]
        discount = _DISCOUNT[: top.shape[1]]
        gain = np.take_along_axis(right, top, axis=1) @ discount
        ideal = np.cumsum(discount)[np.minimum(right.sum(axis=1), len(discount)) - 1]
        found: Floats = gain / ideal
        return found


@dataclass(frozen=True, eq=False)
class Trial:
    """Means and banks of one half of a sample, and the other half to try choices on."""

    fitted: Calibration
    sample: Sample

    def judged(self, choices: Choices, pairs: Pairs) -> dict[Pair, Judged]:
        """What the other half's queries find in it, by the kinds of query and of what is found.

        Args:
            choices: What is tried for all.
            pairs: What is tried for each pair.
        """
        calibration = self.calibration(choices, pairs)
        searched = {}
        for kind in SIDES:
            rows = self.sample.documents(kind)
            searched[kind] = calibration.documents(rows, np.full(len(rows), kind == "image"))
        found: dict[Pair, Judged] = {}
        for asked in SIDES:
            queries = calibration.queries(self.sample.queries(asked), asked)
            vectors = np.stack([query.vector for query in queries])
            for kind in SIDES:
                products = vectors @ searched[kind].T
                scores = np.array(
                    [
                        query.scale(kind).comparable(row)
                        for query, row in zip(queries, products, strict=True)
                    ]
                )
                right = self.sample.groups(asked)[:, None] == self.sample.groups(kind)
                if asked == kind and (asked == "image" or self.sample.same_words):
                    np.fill_diagonal(scores, -np.inf)
                    np.fill_diagonal(right, False)
                found[asked, kind] = Judged(scores, right, queries)
        return found

    def by_few_words(self, choices: Choices, pairs: Pairs) -> Judged | None:
        """What a few words of the other half's texts find among them; ``None`` without any.

        Args:
            choices: What is tried for all.
            pairs: What is tried for each pair.
        """
        sample, few = self.sample, self.sample.few_words
        if few is None or not len(few):
            return None
        calibration = self.calibration(choices, pairs)
        texts = calibration.documents(sample.texts, np.zeros(len(sample.texts), bool))
        asked = calibration.queries(few.asked, "text")
        scores = np.array([query.scale("text").comparable(texts @ query.vector) for query in asked])
        groups = sample.text_groups
        return Judged(scores, groups[few.owners][:, None] == groups, asked)

    def with_kin(self, judged: Mapping[Pair, Judged]) -> dict[Pair, Judged]:
        """The same with kin as right answers, too: what belongs to the same kind and is alike.

        Captions tell of answers of the other kind alone, so that a choice by them leans towards
        whatever gives that kind more places. Pictures are kin whose captions are among each other's
        nearest, texts whose pictures are; so no likeness is judged by itself.

        Args:
            judged: What `judged` found.
        """
        return dict(judged) | {
            (kind, kind): Judged(own.scores, own.right | self._kin[kind])
            for kind in SIDES
            if (own := judged[kind, kind])
        }

    @cached_property
    def _kin(self) -> dict[Modality, NDArray[np.bool_]]:
        """``(n, n)`` for each kind: whose counterparts of the other kind are nearest to its own."""
        return {"text": self._kin_of("text", "image"), "image": self._kin_of("image", "text")}

    def _kin_of(self, kind: Modality, other: Modality) -> NDArray[np.bool_]:
        groups, others = self.sample.groups(kind), self.sample.groups(other)
        rows = self.sample.documents(other)
        kin = np.zeros((len(groups), len(groups)), bool)
        shared, place = np.unique(others, return_inverse=True)
        known = np.flatnonzero(np.isin(groups, shared))
        if len(known) <= KIN:
            return kin
        sums = np.zeros((len(shared), rows.shape[1]))
        np.add.at(sums, place, scaled(rows - rows.mean(axis=0)))
        counterparts = scaled(sums.astype(np.float32))[np.searchsorted(shared, groups[known])]
        likeness = counterparts @ counterparts.T
        likeness[groups[known][:, None] == groups[known]] = -np.inf
        nearest = np.argpartition(-likeness, KIN - 1, axis=1)[:, :KIN]
        found = np.isfinite(np.take_along_axis(likeness, nearest, axis=1))
        for row, columns, real in zip(known, nearest, found, strict=True):
            kin[row, known[columns[real]]] = True
        return kin

    def calibration(self, choices: Choices, pairs: Pairs) -> Calibration:
        """What is fitted, with these choices."""
        return replace(self.fitted, choices=choices, pairs=pairs)


def one_list(judged: dict[Pair, Judged], asked: Modality) -> Judged:
    """Queries of one kind, asked in one list of both."""
    parts = [judged[asked, kind] for kind in SIDES]
    return Judged(
        np.hstack([part.scores for part in parts]), np.hstack([part.right for part in parts])
    )
