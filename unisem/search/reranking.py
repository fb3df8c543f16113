"""`Reranking`: how a reranker's judgement changes the order of what a search found."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

from unisem.encoders.base import Encoder
from unisem.errors import RerankerError
from unisem.images.reference import ImageRef
from unisem.records import Modality, Record
from unisem.rerank.base import Reranker
from unisem.search.rerank_calibration import FILE, Floats, RerankCalibration, in_list_units
from unisem.stores.hits import Hit

_FIRST, _AT_ONCE = 4, 16  # records in a call where time is limited
_clock = time.monotonic


class RerankReport(NamedTuple):
    """What a reranker did for one query.

    Attributes:
        candidates: Records that it was to judge: those of its modalities.
        judged: How many of them it judged.
        left: How many it was not shown, because the time was up; the others that it did not judge
            it could not.
        seconds: How long it took, without loading the model.
    """

    candidates: int
    judged: int
    left: int
    seconds: float


class Ranked(NamedTuple):
    """A record's place in the new order.

    Attributes:
        position: Where it stood before.
        score: Its score now, a Python float; ``None`` if nothing was judged.
        judged: What the reranker gave it; ``None`` if that did not judge it.
    """

    position: int
    score: float | None
    judged: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Reranking:
    """A reranker, what it judges, and what its word counts.

    **Places.** What is judged is put in the order of the scores, best first, ties by id, into the
    places that the judged ones had. Whatever is not judged keeps its place: a record of another
    modality, one that the reranker cannot judge, and one for which no time was left. It has the
    score of the judged record before it, or of the first one, so that scores never rise.

    **Time.** With ``seconds`` records are judged from the first one on, in small batches, as long
    as the next batch is expected to end in time at the pace of the last; the first four always are.
    Loading the model is not counted.

    Attributes:
        reranker: What scores.
        modalities: ``"image"``: records with a picture; ``"text"``: those without.
        seconds: How long it may take for a query; ``None`` for as long as it takes.
        calibration: What makes probabilities of its scores, with the share that the search's own
            score has in them; ``None`` for its scores as they are.
        search_weight: The share of the search's own score in the order, from 0, the reranker's
            alone, to 1, where no calibration says it. Both are taken in units of their list, less
            its mean and by its standard deviation, and the scores are weighted sums of that.
        report: Called with a `RerankReport` after each query.

    Raises:
        TypeError: ``reranker`` is no `Reranker`.
        ValueError: There is no such modality, no time, no such weight, or a weight beside a
            calibration.
    """

    reranker: Reranker
    modalities: Collection[Modality] = get_args(Modality)
    seconds: float | None = None
    calibration: RerankCalibration | None = None
    report: Callable[[RerankReport], None] | None = None
    search_weight: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.reranker, Reranker):
            raise TypeError(
                "reranker must be a unisem.rerank.Reranker, not "
                f"{type(self.reranker).__name__}; load_reranker gives one"
            )
        known = get_args(Modality)
        if isinstance(self.modalities, str) or not set(self.modalities) <= set(known):
            listed = ", ".join(map(repr, known))
            raise ValueError(f"modalities must be a list of {listed}, not {self.modalities!r}")
        if self.seconds is not None and not self.seconds > 0:
            raise ValueError(f"seconds must be more than 0, not {self.seconds!r}")
        if not 0 <= self.search_weight <= 1:
            raise ValueError(f"search_weight must be from 0 to 1, not {self.search_weight!r}")
        if self.search_weight and self.calibration is not None:
            raise ValueError(
                "a calibration says itself which share the search's score has; leave out "
                "search_weight, or the calibration"
            )

    @classmethod
    def load(
        cls,
        name: str | os.PathLike[str] | Reranker,
        *,
        modalities: Collection[Modality] = get_args(Modality),
        seconds: float | None = None,
        report: Callable[[RerankReport], None] | None = None,
        search_weight: float | None = None,
        device: str | None = None,
        dtype: str = "float32",
        encoder: Encoder | None = None,
    ) -> Self:
        """A reranker by name, with the calibration that lies beside its files, if one does.

        Args:
            name: As of `load_reranker`.
            modalities: As the attribute.
            seconds: As the attribute.
            report: As the attribute.
            search_weight: As the attribute; then what calibration there is stays aside. ``None``
                for the calibration, or 0.
            device: As of `load_reranker`.
            dtype: As of `load_reranker`.
            encoder: As of `load_reranker`.

        Raises:
            RerankerError: As of `load_reranker`.
            CalibrationError: The calibration is damaged.
        """
        from unisem.rerank import load_reranker

        reranker = load_reranker(name, device=device, dtype=dtype, encoder=encoder)
        directory = getattr(reranker, "directory", None)
        calibration = None
        by_hand = search_weight is not None
        if isinstance(directory, Path) and (directory / FILE).is_file() and not by_hand:
            calibration = RerankCalibration.load(directory)
        return cls(reranker, modalities, seconds, calibration, report, search_weight or 0.0)

    @property
    def name(self) -> str:
        """What a person calls the reranker."""
        return self.reranker.name

    def weighted(self, search_weight: float) -> Self:
        """The same with `search_weight`, whatever a calibration says."""
        return replace(self, search_weight=search_weight, calibration=None)

    @property
    def mixes(self) -> bool:
        """Whether the search's own score has a share in the order."""
        own = self.search_weight if self.calibration is None else self.calibration.own
        return bool(own)

    def mixable(self, found: Sequence[tuple[float | None, bool | None]]) -> list[float | None]:
        """The scores that may be mixed in, for `rank`: cosines, which a search by vector gives.

        Args:
            found: Each one's score, and whether that is a cosine; ``None`` where nothing says so:
                then ``search_weight`` takes it at the caller's word, and a calibration does not.

        Raises:
            ValueError: ``search_weight`` is to mix scores that are no cosines.
        """
        by_hand = bool(self.search_weight)
        if by_hand and any(score is not None and known is False for score, known in found):
            raise ValueError(
                "search_weight mixes cosines in, and these scores are of words, ranks or another "
                'reranker; search in mode "vector" without one, or leave out search_weight'
            )
        return [score if known or (by_hand and known is None) else None for score, known in found]

    @classmethod
    def of(cls, reranker: Reranker | Self) -> Self:
        """A bare reranker judges everything, takes its time, and its scores are the scores."""
        return reranker if isinstance(reranker, cls) else cls(reranker)  # type: ignore[arg-type]

    def at(self, directory: Path | None) -> Self:
        """The same for the records of the space in a directory; see `Reranker.at`."""
        if directory is None:
            return self
        return replace(self, reranker=self.reranker.at(directory))

    def rank(
        self,
        text: str | None,
        image: ImageRef | None,
        records: Sequence[Record],
        own: Sequence[float | None] | None = None,
    ) -> list[Ranked]:
        """Return each record's place, for whoever keeps them in objects of their own.

        Args:
            text: The query's text.
            image: The query's picture.
            records: What was found for it, best first.
            own: The search's score of each, which may be mixed in. Only those of what is judged
                count; where one is missing, a calibration takes the reranker's alone, and
                ``search_weight`` does where all are.

        Returns:
            Each position in ``records`` once, in the new order. If nothing could be judged, all in
            the old one.

        Raises:
            RerankerError: The reranker gives something other than one score for each record.
            ValueError: ``search_weight`` mixes the search's scores in, and some are not given.
        """
        if not records:
            return []
        judged = self._judged(text, image, records)
        scores = self._mixed(judged.astype(np.float64), own)
        places = np.flatnonzero(~np.isnan(judged)).tolist()
        order = iter(sorted(places, key=lambda place: (-scores[place], records[place].id)))
        kept = set(range(len(records))) - set(places)
        last = max((float(scores[place]) for place in places), default=None)
        ranked = []
        for place in range(len(records)):
            if place in kept:
                ranked.append(Ranked(place, last, None))
            else:
                position = next(order)
                last = float(scores[position])
                ranked.append(Ranked(position, last, float(judged[position])))
        return ranked

    def reorder(self, text: str | None, image: ImageRef | None, hits: Sequence[Hit]) -> list[Hit]:
        """Return hits in the new order, with their scores; see `rank`."""
        own = [hit.score for hit in hits]
        ranked = self.rank(text, image, [hit.record for hit in hits], own)
        return [
            hits[position] if score is None else replace(hits[position], score=score, judged=judged)
            for position, score, judged in ranked
        ]

    def _mixed(self, judged: Floats, own: Sequence[float | None] | None) -> Floats:
        """The scores that decide the order, of the reranker's and the search's."""
        there = ~np.isnan(judged)
        known = np.asarray([None] * len(judged) if own is None else own, np.float64)
        missing = np.isnan(known[there])
        if self.calibration is not None:
            if missing.any():  # nobody asked for the mixture by name: the reranker alone
                if not self.calibration.judged:
                    return judged
                known = np.zeros(len(judged))  # all alike: says nothing
            return self.calibration.probabilities(judged, known.tolist())
        if not self.search_weight or missing.all():
            return judged
        if missing.any():
            raise ValueError(
                "search_weight mixes the search's own score in, and some of what is reranked has "
                "none; search_weight=0 takes the reranker's alone"
            )
        found = in_list_units(known[there])
        mixed = judged.copy()
        mixed[there] = in_list_units(judged[there]) * (1 - self.search_weight)
        mixed[there] += found * self.search_weight
        return mixed

    def _judged(
        self, text: str | None, image: ImageRef | None, records: Sequence[Record]
    ) -> NDArray[np.float32]:
        wanted = [p for p, record in enumerate(records) if record.modality in self.modalities]
        scores = np.full(len(records), np.nan, np.float32)
        if wanted and self.seconds is not None:
            self.reranker.score(text, image, [])  # the weights are loaded
        begun = _clock()
        done, pace = 0, 0.0
        while count := self._fitting(len(wanted) - done, done == 0, _clock() - begun, pace):
            places = wanted[done : done + count]
            started = _clock()
            given = np.asarray(
                self.reranker.score(text, image, [records[place] for place in places]), np.float32
            )
            if given.shape != (count,):
                raise RerankerError(
                    f"{self.reranker.name} gave scores of the shape {given.shape} for {count} "
                    "records"
                )
            scores[places] = given
            done, pace = done + count, (_clock() - started) / count
        if self.report is not None:
            judged = int((~np.isnan(scores)).sum())
            left = len(wanted) - done
            self.report(RerankReport(len(wanted), judged, left, _clock() - begun))
        return scores

    def _fitting(self, left: int, is_first: bool, spent: float, pace: float) -> int:
        """How many records the next call judges."""
        if self.seconds is None:
            return left
        if is_first:
            return min(left, _FIRST)
        return max(0, min(left, _AT_ONCE, int((self.seconds - spent) / max(pace, 1e-9))))
