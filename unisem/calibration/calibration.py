"""`Calibration`: what makes scores of texts and of pictures comparable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from unisem.calibration.kinds import DOCUMENT_KINDS, QUERY_KINDS, DocumentKind, QueryKind
from unisem.calibration.reference import Reference, scaled
from unisem.calibration.scale import LEAST, Floats, Scale
from unisem.errors import CalibrationError, EncoderMismatchError
from unisem.records import Vector

EXTRA = len(QUERY_KINDS)
"""Dimensions that a calibrated vector has more than a raw one: a hub bias for each query kind."""
_AT_ONCE = 4096  # vectors whose likeness to a bank is held in memory
_SUMMED = 128  # vectors whose nearest examples are held in memory


Evidence = Literal["pairs", "few words", "other pair"]
"""What tells how probable relevance is: what belongs together, queries of a few words of texts, or,
for want of both, the odds of a pair that is like this one."""


@dataclass(frozen=True, slots=True)
class PairChoice:
    """How one kind of query is compared with one kind of vector.

    Attributes:
        alpha: How much of the hub bias is taken off, from 0 to 1.
        k: Over how many of the nearest reference queries the bias is the mean.
        slope: Log-odds of relevance per unit of the score; ``None`` if nothing told them.
        intercept: Log-odds of relevance at score 0.
        nearness: Log-odds of relevance per unit of the query's mean score against the nearest of
            the kind's bank: a query that much is near to needs a higher score.
        score: Whether that is the ``"product"`` of query and vector as they are searched, with the
            usual hub bias put back, which larger banks have more of; or the ``"standard"`` one.
        candidates: Among how many vectors those odds were found.
        evidence: What told those odds; ``None`` if nothing did, or nobody says.
        queries: How many queries of calibration data this was chosen on.
    """

    alpha: float = 0.0
    k: int = 1
    slope: float | None = None
    intercept: float = 0.0
    nearness: float = 0.0
    score: Literal["product", "standard"] = "product"
    candidates: int = 1
    evidence: Evidence | None = None
    queries: int = 0

    def __post_init__(self) -> None:
        """Refuse what means nothing.

        Raises:
            ValueError: Says which.
        """
        if not 0 <= self.alpha <= 1 or self.k < 1 or self.candidates < 1:
            raise ValueError(
                f"alpha {self.alpha!r} is not from 0 to 1, or k {self.k!r} or the number of "
                f"candidates {self.candidates!r} below 1"
            )
        if self.slope is not None and not self.slope >= 0:
            raise ValueError(f"the slope {self.slope!r} of a probability is below 0")
        if self.score not in ("product", "standard"):
            raise ValueError(f"there is no score {self.score!r}")
        if self.evidence not in (None, *get_args(Evidence)):
            raise ValueError(f"a probability cannot be told by {self.evidence!r}")


@dataclass(frozen=True, slots=True)
class Choices:
    """What was chosen for all pairs together, and on which grounds.

    Attributes:
        centred: Whether each kind is seen from its own mean.
        scaled: The kinds of queries whose scores of each kind are brought to one scale.
        cohort: The share of a kind's bank, the nearest, that the scale is taken from.
        queries: How many queries of calibration data this was chosen on.
        before: Their mean nDCG@10 in one list of all kinds by raw cosine, held out; ``None``
            without.
        after: The same as chosen.
    """

    centred: bool = True
    scaled: tuple[QueryKind, ...] = QUERY_KINDS
    cohort: float = 0.1
    queries: int = 0
    before: float | None = None
    after: float | None = None

    def __post_init__(self) -> None:
        """Refuse what means nothing.

        Raises:
            ValueError: Says which.
        """
        if not 0 < self.cohort <= 1:
            raise ValueError(f"the cohort {self.cohort!r} is no share above 0, to 1")
        if not set(self.scaled) <= set(QUERY_KINDS):
            raise ValueError(f"there are no queries of all the kinds {self.scaled!r}")


KindCodes = NDArray[np.integer[Any]] | NDArray[np.bool_]
Pair = tuple[QueryKind, DocumentKind]
Pairs = Mapping[Pair, PairChoice]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Means, hub biases and scales of one encoder's vectors, fitted once.

    Stored vectors are transformed by `documents`, a query by `query`. The inner product of the two
    is the score before scaling; `AskedVector.scale` is a rising map of it for each kind, so that
    the best of each kind can be fetched apart and merged exactly.

    Attributes:
        fingerprint: Of the encoder whose vectors these are.
        documents_of: What stored vectors of each kind look like. Without ``"both"`` it was fitted
            to a space without fused vectors, and sees such as pictures'.
        queries_of: What query vectors of each kind look like.
        choices: What was chosen for all.
        pairs: What was chosen for each pair.
        seed: Decided what was drawn.
    """

    fingerprint: str
    documents_of: Mapping[DocumentKind, Reference]
    queries_of: Mapping[QueryKind, Reference]
    choices: Choices
    pairs: Pairs
    seed: int = 0

    @property
    def dimension(self) -> int:
        """Length of the vectors that are calibrated."""
        return len(self.documents_of["text"].mean)

    @property
    def index_dimension(self) -> int:
        """Length of calibrated vectors."""
        return self.dimension + EXTRA

    def check(self, fingerprint: str) -> None:
        """Refuse another encoder's vectors.

        Raises:
            EncoderMismatchError: They are another's.
        """
        if fingerprint != self.fingerprint:
            raise EncoderMismatchError(
                f"this calibration was fitted to vectors of the encoder {self.fingerprint[:12]}, "
                f"not of {fingerprint[:12]}; fit one to the space's own vectors"
            )

    def pair(self, asked: QueryKind, kind: DocumentKind) -> PairChoice:
        """What was chosen for a kind of query and of vector."""
        return self.pairs[asked, self.seen_as(kind)]

    def seen_as(self, kind: DocumentKind) -> DocumentKind:
        """The kind itself, if the calibration was fitted to such vectors; else pictures'."""
        return kind if kind in self.documents_of else "image"

    def documents(self, vectors: Vector, kinds: KindCodes) -> Vector:
        """Stored vectors as they are searched.

        Args:
            vectors: ``(n, d)`` float32 unit rows.
            kinds: ``(n,)``, the place of each row's kind in `DOCUMENT_KINDS`; booleans, where rows
                are of texts and of pictures only.

        Returns:
            ``(n, d + EXTRA)`` float32: seen from the mean of its kind, at length 1, and the hub
            bias against each kind of query, with its sign turned.

        Raises:
            CalibrationError: Vectors of another dimension, or another number of kinds.
        """
        self._check(vectors)
        if kinds.shape != (len(vectors),):
            raise CalibrationError(f"{len(vectors)} vectors but kinds of shape {kinds.shape}")
        found = np.empty((len(vectors), self.index_dimension), np.float32)
        for code, kind in enumerate(DOCUMENT_KINDS):
            rows = np.flatnonzero(kinds == code)
            for start in range(0, len(rows), _AT_ONCE):
                here = rows[start : start + _AT_ONCE]
                found[here] = self._documents(vectors[here], kind)
        return found

    def query(self, vector: Vector, kind: QueryKind) -> AskedVector:
        """One query as it searches; see `queries`."""
        return self.queries(vector[None], kind)[0]

    def queries(self, vectors: Vector, kind: QueryKind) -> list[AskedVector]:
        """Queries as they search.

        Args:
            vectors: ``(n, d)`` float32 unit rows.
            kind: What they are.

        Raises:
            CalibrationError: Vectors of another dimension.
        """
        self._check(vectors)
        asked = np.zeros((len(vectors), self.index_dimension), np.float32)
        asked[:, : self.dimension] = self._seen(self.queries_of[kind], vectors)
        asked[:, self.dimension + QUERY_KINDS.index(kind)] = 1
        return [AskedVector(self, kind, row) for row in asked]

    def scores(
        self, queries: Vector, asked: QueryKind, vectors: Vector, kinds: KindCodes
    ) -> Floats:
        """``(q, n)`` scores of every query with every vector, on one scale.

        Args:
            queries: ``(q, d)`` float32 unit rows.
            asked: What they are.
            vectors: ``(n, d)`` float32 unit rows.
            kinds: ``(n,)``, the place of each row's kind in `DOCUMENT_KINDS`; booleans, where rows
                are of texts and of pictures only.

        Raises:
            CalibrationError: Vectors of another dimension, or another number of kinds.
        """
        searched = self.documents(vectors, kinds)
        found = np.empty((len(queries), len(vectors)))
        for row, query in zip(found, self.queries(queries, asked), strict=True):
            products = searched @ query.vector
            for code, kind in enumerate(DOCUMENT_KINDS):
                here = kinds == code
                if here.any():
                    row[here] = query.scale(kind).comparable(products[here])
        return found

    def drift(self, vectors: Vector, kinds: KindCodes) -> dict[DocumentKind, float]:
        """How far the means of some stored vectors lie from those of the fit, from 0 to 2.

        Args:
            vectors: ``(n, d)`` float32 unit rows.
            kinds: ``(n,)``, the place of each row's kind in `DOCUMENT_KINDS`; booleans, where rows
                are of texts and of pictures only.

        Returns:
            The distance for each kind that there is and that was fitted.
        """
        return {
            kind: float(np.linalg.norm(rows.mean(axis=0) - self.documents_of[kind].mean))
            for code, kind in enumerate(DOCUMENT_KINDS)
            if kind in self.documents_of and len(rows := vectors[kinds == code])
        }

    @cached_property
    def usual_bias(self) -> dict[Pair, float]:
        """What is taken off scores as hub bias, on the mean over a kind's bank."""
        return {
            (asked, kind): -float(rows[:, self.dimension + column].mean())
            for kind, rows in self._searched.items()
            for column, asked in enumerate(QUERY_KINDS)
        }

    @cached_property
    def _asked(self) -> dict[QueryKind, Vector]:
        """Calibrated banks of queries, ``(m, d)``, without their extra dimensions."""
        return {kind: self._seen(side, side.bank) for kind, side in self.queries_of.items()}

    @cached_property
    def _searched(self) -> dict[DocumentKind, Vector]:
        """Calibrated banks of stored vectors, ``(m, d + EXTRA)``."""
        return {kind: self._documents(side.bank, kind) for kind, side in self.documents_of.items()}

    def _check(self, vectors: Vector) -> None:
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            raise CalibrationError(
                f"vectors must have shape (n, {self.dimension}), not {vectors.shape}"
            )

    def _seen(self, side: Reference, rows: Vector) -> Vector:
        return side.centred(rows) if self.choices.centred else scaled(rows)

    def _documents(self, rows: Vector, kind: DocumentKind) -> Vector:
        seen = self._seen(self.documents_of[self.seen_as(kind)], rows)
        found = np.zeros((len(rows), self.index_dimension), np.float32)
        found[:, : self.dimension] = seen
        for column, asked in enumerate(QUERY_KINDS):
            pair = self.pair(asked, kind)
            if pair.alpha:
                bias = nearest_mean(seen, self._asked[asked], pair.k)
                found[:, self.dimension + column] = -pair.alpha * bias
        return found


@dataclass(frozen=True, eq=False)
class AskedVector:
    """A calibrated query.

    Attributes:
        calibration: Whose.
        kind: What the query is.
        vector: ``(d + EXTRA,)`` float32; its inner product with a calibrated vector is the score
            before scaling.
    """

    calibration: Calibration
    kind: QueryKind
    vector: Vector

    def scale(self, kind: DocumentKind, *, candidates: int | None = None) -> Scale:
        """How this query's scores against one kind of vectors compare with other kinds'.

        Args:
            kind: What the vectors are of.
            candidates: How many of them are searched; as many as the calibration was fitted to if
                ``None``. Among twice as many there are twice as many wrong ones of any score, so
                the odds of relevance are half.
        """
        calibration = self.calibration
        kind = calibration.seen_as(kind)
        pair = calibration.pairs[self.kind, kind]
        count = calibration.documents_of[kind].count if candidates is None else max(candidates, 1)
        is_scaled = self.kind in calibration.choices.scaled
        is_needed = is_scaled or pair.score == "standard" or pair.nearness
        own = self.cohort(kind) if is_needed else (0.0, 1.0)
        middle, spread = own if is_scaled else (0.0, 1.0)
        if pair.slope is None:
            return Scale(middle, spread)
        bias = calibration.usual_bias[self.kind, kind]
        zero, unit = own if pair.score == "standard" else (-bias, 1.0)
        slope = pair.slope / unit  # per unit of what is searched by
        intercept = pair.intercept - math.log(count / pair.candidates) - slope * zero
        intercept += pair.nearness * (own[0] + bias)
        return Scale(middle, spread, slope * spread, intercept + slope * middle)

    def cohort(self, kind: DocumentKind) -> tuple[float, float]:
        """Mean and deviation, above 0, of the scores against the nearest of a kind's bank."""
        calibration = self.calibration
        scores = (calibration._searched[calibration.seen_as(kind)] @ self.vector).astype(np.float64)
        size = max(2, round(calibration.choices.cohort * len(scores)))
        nearest = np.partition(scores, len(scores) - size)[-size:]
        return float(nearest.mean()), max(float(nearest.std()), LEAST)


def nearest_mean(rows: Vector, bank: Vector, k: int) -> Vector:
    """``(n,)`` means of each row's inner products with the ``k`` nearest of ``(m, d)``, or all.

    Each is the same whatever rows are beside it, which is not so of what BLAS gives: that only says
    which are nearest.
    """
    k = min(k, len(bank))
    nearest = np.argpartition(rows @ bank.T, len(bank) - k, axis=1)[:, -k:]
    nearest.sort(axis=1)
    found = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _SUMMED):
        here = slice(start, start + _SUMMED)
        mean = bank[nearest[here]].mean(axis=1)  # a mean of products is a product with the mean
        found[here] = np.einsum("ij,ij->i", rows[here].astype(np.float64), mean)
    return found
