"""`RerankCalibration`: from a reranker's score, and the search's, to a probability."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from unisem.calibration.relevance import Odds
from unisem.common.atomic_files import write_whole
from unisem.errors import CalibrationError

FILE = "rerank_calibration.json"
"""What it is called beside a model's files."""

_KIND = "unisem-rerank-calibration"
_FORMAT = 2
_LARGEST = 10_000  # bytes of a file
_EQUAL = 1e-9  # cosines that differ by less are rounding
_SHARES = np.linspace(0, 1, 21)  # of the search's own score

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankCalibration:
    """How probable it is that a record is relevant, by what a reranker and the search say of it.

    ``σ(judged · reranker's score + own · search's score + offset)``, fitted to held-out questions
    with `fit`. The order is that of the mixture; the probability is the same for texts and
    pictures, for one query and another.

    The search's score is taken in units of its list: less the mean of what was judged for the
    query, divided by the standard deviation. So the mixture means the same under an encoder whose
    cosines spread more, or for a query whose cosines do. What is judged should be about as many
    hits as it was fitted to.

    Attributes:
        judged: Log-odds for each unit of the reranker's score.
        own: Log-odds for each standard deviation of the search's scores; 0 where mixing did not
            help.
        offset: Log-odds of a reranker's score of 0 and the mean of the search's.
    """

    judged: float
    own: float = 0.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise CalibrationError(f"{name} must be a finite number, not {value!r}")
        if self.judged < 0 or self.own < 0:
            raise CalibrationError("a higher score cannot make a record less relevant")

    @classmethod
    def fit(
        cls, judged: Sequence[Floats], own: Sequence[Floats], relevant: Sequence[NDArray[np.bool_]]
    ) -> Self:
        """Fit to held-out questions, which neither model nor settings were chosen by.

        The search's share in the mixture is that of 0, .05, …, 1 with the best mean reciprocal
        rank, both scores divided by their standard deviations; the smallest of equally good ones.
        Slope and offset are Platt's (1999).

        Args:
            judged: For each question the reranker's scores of its candidates; NaN where it could
                not judge, which are left out.
            own: The search's scores of the same.
            relevant: Whether each is relevant.

        Raises:
            CalibrationError: Fewer than 20 candidates that are relevant, or that are not; or the
                scores do not tell the ones from the others.
        """
        kept = [~np.isnan(scores) for scores in judged]
        parts = [
            [np.asarray(row)[keep] for row, keep in zip(rows, kept, strict=True)]
            for rows in (judged, own, relevant)
        ]
        parts[1] = [in_list_units(row) for row in parts[1]]
        both = [np.concatenate(rows or [np.empty(0)]).astype(np.float64) for rows in parts[:2]]
        spread = [max(float(np.std(rows)), 1e-12) if len(rows) else 1.0 for rows in both]
        ranks = [
            _reciprocal_rank(
                [
                    (1 - share) * one / spread[0] + share * other / spread[1]
                    for one, other in zip(*parts[:2], strict=True)
                ],
                parts[2],
            )
            for share in _SHARES
        ]
        share = float(_SHARES[int(np.argmax(ranks))])
        mixed = (1 - share) * both[0] / spread[0] + share * both[1] / spread[1]
        right = np.concatenate(parts[2] or [np.empty(0)]).astype(bool)
        centre, width = (float(mixed.mean()), float(mixed.std()) or 1.0) if len(mixed) else (0, 1)
        odds = Odds.fitted((mixed - centre) / width, right)
        if odds is None:
            raise CalibrationError(
                f"{int(right.sum())} relevant and {int((~right).sum())} other candidates are too "
                "few to calibrate a reranker by; 20 of each are needed: ask more held-out questions"
            )
        slope, intercept = odds.slope / width, odds.intercept
        if not slope:
            raise CalibrationError(
                "relevant candidates have no higher scores than others; such a reranker should be "
                "left out"
            )
        return cls(
            judged=slope * (1 - share) / spread[0],
            own=slope * share / spread[1],
            offset=intercept - slope * centre,
        )

    def probabilities(self, judged: Floats, own: Sequence[float | None] | None) -> Floats:
        """Return the probability of each record, from 0 to 1.

        Args:
            judged: ``(n,)`` the reranker's scores of one query's records; NaN stays.
            own: The search's scores of the same; that of a record that was not judged may be
                missing.

        Raises:
            ValueError: The search's scores have a share, and one is missing.
        """
        logits = self.judged * judged + self.offset
        if self.own:
            there = ~np.isnan(judged)
            found = np.asarray([None] * len(judged) if own is None else own, np.float64)[there]
            if np.isnan(found).any():
                raise ValueError(
                    "the reranker's calibration mixes the search's own score in, and some of what "
                    "is reranked has none; search_weight=0 takes the reranker's alone"
                )
            logits[there] += self.own * in_list_units(found)
        return 1 / (1 + np.exp(-np.clip(logits, -500, 500)))

    def save(self, directory: str | os.PathLike[str]) -> Path:
        """Write ``rerank_calibration.json`` into a directory, such as the reranker's; its path."""
        path = Path(directory) / FILE
        write_whole(path, json.dumps({"kind": _KIND, "format": _FORMAT, **asdict(self)}) + "\n")
        return path

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote into a directory.

        Raises:
            CalibrationError: There is none, or it is damaged.
        """
        path = Path(directory) / FILE
        try:
            if path.stat().st_size > _LARGEST:
                raise CalibrationError(f"{path} is too large to be a reranker's calibration")
            content = json.loads(path.read_bytes())
            if content["kind"] != _KIND or content["format"] != _FORMAT:
                raise CalibrationError(
                    f"{path} is no reranker's calibration that is known here; fit it again"
                )
            return cls(**{name: content[name] for name in ("judged", "own", "offset")})
        except CalibrationError:
            raise
        except (KeyError, OSError, RecursionError, TypeError, ValueError) as error:
            raise CalibrationError(f"{path} cannot be read: {error!r}; fit it again") from error


def in_list_units(scores: Floats) -> Floats:
    """How many standard deviations each is above the mean of its list; 0 where all are equal."""
    if not len(scores):
        return scores
    away: Floats = scores - scores.mean()
    spread = float(away.std())
    return away / spread if spread > _EQUAL else np.zeros_like(away)


def _reciprocal_rank(scores: list[Floats], relevant: list[NDArray[np.bool_]]) -> float:
    """Mean over the questions that have a relevant candidate; a tie counts as the worse place."""
    ranks = [
        1 / int((row >= row[right].max()).sum())
        for row, right in zip(scores, relevant, strict=True)
        if right.any()
    ]
    return float(np.mean(ranks)) if ranks else 0.0
