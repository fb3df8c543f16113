"""`CalibrationStatistics`: what a store is calibrated by, and whether that still fits."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unisem.calibration import Calibration
from unisem.calibration.kinds import DOCUMENT_KINDS
from unisem.records import Vector
from unisem.stores.calibration_file import CalibrationFile
from unisem.stores.faiss.rawvectors import VectorId

_NEWEST = 2000  # vectors of each kind whose mean is compared
_FAR = 0.1  # a drift that is worth fitting anew


@dataclass(frozen=True, slots=True)
class CalibrationStatistics:
    """What was chosen, on what, and how far the newest vectors are from it.

    Attributes:
        fingerprint: Of the encoder whose vectors it was fitted to.
        fitted_to: How many vectors of each kind it was fitted to.
        centred: Whether each kind is seen from its own mean.
        scaled: The kinds of queries whose scores of each kind are brought to one scale.
        queries: How many held-out queries this was chosen on.
        before: Their nDCG@10 by raw cosine; ``None`` if there were none.
        after: The same as chosen.
        drift: For each kind the distance of the mean of the newest vectors from that of the fit,
            from 0 to 2.
    """

    fingerprint: str
    fitted_to: dict[str, int]
    centred: bool
    scaled: tuple[str, ...]
    queries: int
    before: float | None
    after: float | None
    drift: dict[str, float]

    @classmethod
    def of(
        cls, database: sqlite3.Connection, directory: Path, dimension: int | None
    ) -> CalibrationStatistics | None:
        """Read them; ``None`` where there is no calibration that can be used."""
        calibrated = CalibrationFile(directory).newest(dimension)
        if calibrated is None:
            return None
        calibration = calibrated.calibration
        choices = calibration.choices
        return cls(
            fingerprint=calibration.fingerprint,
            fitted_to={kind: side.count for kind, side in calibration.documents_of.items()},
            centred=choices.centred,
            scaled=choices.scaled,
            queries=choices.queries,
            before=choices.before,
            after=choices.after,
            drift=_drift(database, calibration),
        )

    @property
    def described(self) -> str:
        """In one line, for a person."""
        parts = ["centred"] if self.centred else ["scores stay cosines, as nothing surely helps"]
        if self.centred and self.scaled:
            parts.append(f"one scale for queries of {', '.join(self.scaled)}")
        if self.before is not None and self.after is not None:
            gain = f"nDCG@10 {self.before:.3f} raw, {self.after:.3f} as chosen"
            parts.append(f"{gain}, on {self.queries:,} queries")
        if self.drift:
            drift = ", ".join(f"{kind} {far:.2f}" for kind, far in self.drift.items())
            advice = "" if max(self.drift.values()) < _FAR else "; consider `unisem calibrate`"
            parts.append(f"drift of the newest vectors: {drift}{advice}")
        return "; ".join(parts)


def _drift(database: sqlite3.Connection, calibration: Calibration) -> dict[str, float]:
    drift: dict[str, float] = {}
    for code, kind in enumerate(DOCUMENT_KINDS):
        if kind not in calibration.documents_of:
            continue
        condition = VectorId.condition(kind)
        found = database.execute(
            f"SELECT vector FROM vectors WHERE {condition} ORDER BY vector_id DESC LIMIT ?",  # noqa: S608 - constants
            (_NEWEST,),
        ).fetchall()
        if found:
            rows: Vector = np.frombuffer(b"".join(blob for (blob,) in found), "<f4").reshape(
                len(found), calibration.dimension
            )
            moved = calibration.drift(rows, np.full(len(rows), code))
            drift[kind] = moved[kind]
    return drift
