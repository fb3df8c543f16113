"""`Report`: what an evaluation found, in values that code can use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisem.common.skipped import Skipped
from unisem.evaluation.bootstrap import Floats, bootstrap_intervals
from unisem.evaluation.geometry import Geometry
from unisem.evaluation.hubness import Hubness
from unisem.evaluation.options import EvaluationOptions
from unisem.evaluation.projection import Projection
from unisem.evaluation.written_report import Environment, WrittenReport
from unisem.records import Record


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over queries, or a mean difference, with its bootstrap interval."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero, as a difference's should."""
        return self.low > 0 or self.high < 0


def estimates_of(
    measures: Mapping[str, Floats], groups: NDArray[np.int64], options: EvaluationOptions
) -> dict[str, Estimate]:
    """Means of measures over the same queries, with their intervals.

    Args:
        measures: ``(queries,)`` each.
        groups: ``(queries,)``; queries of one group are resampled together.
        options: How.
    """
    intervals = bootstrap_intervals(
        np.column_stack(list(measures.values())),
        groups=groups,
        confidence=options.confidence,
        rounds=options.rounds,
        seed=options.seed,
    )
    return {
        name: Estimate(float(values.mean()), float(low), float(high))
        for (name, values), (low, high) in zip(measures.items(), intervals, strict=True)
    }


@dataclass(frozen=True, slots=True)
class TaskResult:
    """One encoder on one task.

    Attributes:
        task: Its name.
        queries: How many.
        groups: How many independent groups of queries, which is what intervals rest on.
        candidates: How many.
        single: Whether every query has one relevant candidate; see `told_by_others`.
        measures: By name, ``hit@1`` … ``ndcg@10``; of classes also ``mean per class``.
        hubness: Who has the first places.
        mteb: Mean measures by MTEB's names and at its cutoffs, ``ndcg_at_10`` …
    """

    task: str
    queries: int
    groups: int
    candidates: int
    single: bool
    measures: dict[str, Estimate]
    hubness: Hubness
    mteb: dict[str, float] = field(repr=False)


@dataclass(frozen=True, slots=True)
class CalibratedTask:
    """What a calibration does to one task, on data that it was not fitted to.

    The data are halved many times. A calibration is fitted to one half, as to a space that holds
    it; queries of the other half ask a list made of that half. A query's figures are means over
    the halvings in which it asked.

    Attributes:
        task: Its name.
        queries: How many different ones asked.
        before: Measures by raw cosine.
        after: Measures by calibrated scores.
        change: After less before, query by query.
        hub_before: Mean share of queries that have the largest hub among their first ten.
        hub_after: The same, calibrated.
    """

    task: str
    queries: int
    before: dict[str, Estimate]
    after: dict[str, Estimate]
    change: dict[str, Estimate]
    hub_before: float
    hub_after: float


@dataclass(frozen=True, slots=True)
class ClassResult:
    """How the pictures of one class were told.

    Attributes:
        name: The class's.
        images: How many pictures it has.
        accuracy: Share of them that were told right.
        confused: For which classes how many were taken, the most frequent first.
        scores: ``precision``, ``recall`` and ``f1``.
    """

    name: str
    images: int
    accuracy: float
    confused: dict[str, int]
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class EncoderResult:
    """All that was measured of one encoder.

    Attributes:
        name: The encoder's.
        fingerprint: The encoder's.
        dimension: The encoder's.
        seconds: Spent encoding; less than it takes if vectors came from a cache.
        tasks: One result per task.
        geometry: The modality gap; ``None`` where there are no pictures, or no texts.
        projection: The plot; ``None`` where no picture belongs to a text.
        calibrated: What a calibration does to the tasks in one list; empty where there are too few
            pairs to fit one to a half, or nothing of the kind was asked for.
        classes: Of pictures that were told by their classes' names, the worst first.
    """

    name: str
    fingerprint: str
    dimension: int
    seconds: float
    tasks: tuple[TaskResult, ...]
    geometry: Geometry | None
    projection: Projection | None = field(repr=False)
    calibrated: tuple[CalibratedTask, ...] = ()
    classes: tuple[ClassResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """The encoder's measures minus the other's, over the same queries of one task."""

    task: str
    measures: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate near the top of a list.

    Attributes:
        record: The candidate.
        captions: What is said of it, if it is a picture.
        score: Its cosine.
        relevant: Whether it was wanted.
    """

    record: Record
    captions: tuple[str, ...]
    score: float
    relevant: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What one encoder made of one query.

    Attributes:
        rank: Where the first relevant candidate was found.
        score: Its cosine.
        found: The best candidates, best first.
    """

    rank: int
    score: float
    found: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A query to look at.

    Attributes:
        task: Name of its task.
        query: What was asked.
        captions: What is said of the query, if it is a picture.
        wanted: The relevant candidate that was found first.
        wanted_captions: What is said of that, if it is a picture.
        answer: The encoder's.
        before: The other encoder's, in a comparison.
    """

    task: str
    query: Record
    captions: tuple[str, ...]
    wanted: Record
    wanted_captions: tuple[str, ...]
    answer: Answer
    before: Answer | None = None


@dataclass(frozen=True, slots=True)
class DataSummary:
    """What was evaluated on.

    Attributes:
        name: Where it came from.
        digest: SHA-256 over the captions and the pictures' digests, in sorted order.
        read: Pairs that were read, before a limit.
        pairs: Pairs that were used.
        images: Distinct, by content.
        captions: Distinct.
        repeated: Pairs left out because they are there again.
        empty_captions: Pairs left out for want of a caption.
        skipped: Inputs and pictures that could not be used.
    """

    name: str
    digest: str
    read: int
    pairs: int
    images: int
    captions: int
    repeated: int
    empty_captions: int
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Report(WrittenReport):
    """What an evaluation found.

    Attributes:
        data: What was evaluated on.
        options: How.
        encoder: The encoder's figures.
        against: The other encoder's, in a comparison.
        differences: Encoder minus other, one per task; empty without another.
        failures: The encoder's worst queries, worst first, task by task.
        gained: Queries that the encoder answers most better than the other.
        lost: Queries that it answers most worse.
        environment: Where and when.
    """

    data: DataSummary
    options: EvaluationOptions
    encoder: EncoderResult
    against: EncoderResult | None
    differences: tuple[Difference, ...]
    failures: tuple[Example, ...]
    gained: tuple[Example, ...]
    lost: tuple[Example, ...]
    environment: Environment

    @property
    def encoders(self) -> tuple[EncoderResult, ...]:
        """The encoder alone, or the one it is compared with and then the encoder."""
        return (self.encoder,) if self.against is None else (self.against, self.encoder)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of `encoders`, with a piece of the fingerprint where they are equal."""
        names = tuple(result.name for result in self.encoders)
        if len(set(names)) == len(names):
            return names
        return tuple(f"{result.name} ({result.fingerprint[:8]})" for result in self.encoders)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values; see ``docs/guides/evaluation.md`` for what is where."""
        from unisem.evaluation.report_json import report_as_json

        return report_as_json(self)

    def as_html(self) -> str:
        """A page with figures and pictures that needs nothing else."""
        from unisem.evaluation.page import render_report

        return render_report(self)
