"""`Calibrated`: a calibration as a store uses it, and `Question`: a query as it is compared."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from unisem.calibration import Calibration, DocumentKind, QueryKind, Scale
from unisem.calibration.artefact import packed
from unisem.calibration.calibration import KindCodes
from unisem.calibration.kinds import DOCUMENT_KINDS, SIDES
from unisem.records import Vector

_EXAMPLES = 64  # queries of a bank from which the usual scale is taken

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A query, ready to be compared with what is searched.

    Attributes:
        vector: ``(d,)`` float32; calibrated, if vectors are.
        lines: How its inner products with vectors of each kind that is searched become scores;
            ``None`` where they are the scores.
    """

    vector: Vector
    lines: Mapping[DocumentKind, Scale] | None = None

    @property
    def is_one_scale(self) -> bool:
        """Whether inner products with vectors of all kinds compare as they are."""
        return self.lines is None or len({(it.middle, it.spread) for it in self.lines.values()}) < 2

    @property
    def steepness(self) -> float:
        """How much a score changes at most where an inner product changes by 1."""
        return 1.0 if self.lines is None else max(1 / it.spread for it in self.lines.values())

    def scores(self, products: NDArray[np.floating], kinds: KindCodes) -> Floats:
        """``(n,)`` scores of inner products with vectors of these kinds, by their codes."""
        if self.lines is None:
            return np.asarray(products, np.float64)
        found: Floats | None = None
        for code, kind in enumerate(DOCUMENT_KINDS):
            if (line := self.lines.get(kind)) is not None:
                scores = line.comparable(products)
                found = scores if found is None else np.where(kinds == code, scores, found)
        assert found is not None  # some kind is searched
        return found

    def relevance(self, score: float, kind: DocumentKind) -> float | None:
        """The probability that a hit of this score is relevant; ``None`` if not known."""
        return self.relevances(np.array([score]), np.array([DOCUMENT_KINDS.index(kind)]))[0]

    def relevances(self, scores: NDArray[np.float64], kinds: KindCodes) -> list[float | None]:
        """The same of many hits."""
        found: list[float | None] = [None] * len(scores)
        if self.lines is None:
            return found
        for code, kind in enumerate(DOCUMENT_KINDS):
            places = np.flatnonzero(kinds == code)
            if not len(places):
                continue
            line = self.lines[kind]
            chances = line.relevance(scores[places] * line.spread + line.middle)
            if chances is not None:
                for place, chance in zip(places.tolist(), chances.tolist(), strict=True):
                    found[place] = chance
        return found


class Calibrated:
    """A calibration with its digest, and with scores that look like cosines.

    Standard scores have no fixed length. They are brought to the middle and the spread that scores
    of such a query usually have, by one line for all kinds of vectors, so their order stays.

    Attributes:
        calibration: The calibration.
        digest: Of its file; says which calibration an index belongs to.
    """

    def __init__(self, calibration: Calibration, digest: str) -> None:
        self.calibration = calibration
        self.digest = digest
        self._usual: dict[QueryKind, tuple[float, float]] = {}

    @classmethod
    def of(cls, calibration: Calibration) -> Self:
        """A calibration that comes from no file."""
        return cls(calibration, hashlib.sha256(packed(calibration)).hexdigest())

    def questions(
        self, vectors: Vector, asked: QueryKind, counts: Mapping[DocumentKind, int]
    ) -> list[Question]:
        """Queries, ready to be compared.

        Args:
            vectors: ``(n, d)`` float32 unit rows.
            asked: What they are of.
            counts: How many vectors of each kind are searched.
        """
        middle, spread = self._usual_of(asked)
        return [
            Question(
                it.vector,
                {
                    kind: _brought(it.scale(kind, candidates=count), middle, spread)
                    for kind, count in counts.items()
                },
            )
            for it in self.calibration.queries(vectors, asked)
        ]

    def _usual_of(self, asked: QueryKind) -> tuple[float, float]:
        usual = self._usual.get(asked)
        if usual is None:
            bank = self.calibration.queries_of[asked].bank
            examples = bank[:: max(1, len(bank) // _EXAMPLES)]
            scales = [
                it.scale(kind) for it in self.calibration.queries(examples, asked) for kind in SIDES
            ]
            usual = self._usual[asked] = (
                float(np.mean([scale.middle for scale in scales])),
                float(np.mean([scale.spread for scale in scales])),
            )
        return usual


def digest_of(calibrated: Calibrated | None) -> str | None:
    """What the seal of an index of these vectors says; ``None`` for raw ones."""
    return None if calibrated is None else calibrated.digest


def _brought(scale: Scale, middle: float, spread: float) -> Scale:
    """A scale whose comparable scores have this middle and spread instead of 0 and 1."""
    slope = None if scale.slope is None else scale.slope / spread
    intercept = scale.intercept - (slope or 0.0) * middle
    ratio = scale.spread / spread
    return Scale(scale.middle - middle * ratio, ratio, slope, intercept)
