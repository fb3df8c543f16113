"""`Measured`: one encoder on tasks; `report_of`: what one or two of them amount to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from unisem.encoders.base import Encoder
from unisem.evaluation.answers import Answers
from unisem.evaluation.class_means import MEAN_PER_CLASS, difference_per_class, mean_per_class
from unisem.evaluation.embeddings import Embeddings
from unisem.evaluation.examples import Captions, largest_changes, worst_failures
from unisem.evaluation.geometry import Geometry
from unisem.evaluation.hubness import Hubness
from unisem.evaluation.mteb import retrieval_scores
from unisem.evaluation.options import EvaluationOptions
from unisem.evaluation.projection import Projection
from unisem.evaluation.report import (
    CalibratedTask,
    ClassResult,
    DataSummary,
    Difference,
    EncoderResult,
    Report,
    TaskResult,
    estimates_of,
)
from unisem.evaluation.tasks import RetrievalTask
from unisem.evaluation.written_report import Environment
from unisem.records import Record


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One encoder's result, and the answers that it rests on."""

    result: EncoderResult
    answers: tuple[Answers, ...]

    @classmethod
    def of(
        cls,
        encoder: Encoder,
        embeddings: Embeddings,
        answers: Iterable[Answers],
        options: EvaluationOptions,
        *,
        images: Sequence[Record],
        texts: Sequence[Record],
        groups: Mapping[str, int],
        labels: Mapping[str, str],
        calibrated: tuple[CalibratedTask, ...] = (),
        classes: tuple[ClassResult, ...] = (),
    ) -> Self:
        """Sum up an encoder.

        Args:
            encoder: What was asked.
            embeddings: Its vectors.
            answers: What it found, task by task.
            options: Cutoffs, seed, how many points.
            images: Pictures whose distance from the texts is measured.
            texts: The same the other way.
            groups: Their groups, by id; one is in one fold of the classifier as a whole.
            labels: A text that belongs to each picture that may be drawn, by the picture's id.
            calibrated: What a calibration does to some tasks.
            classes: How the pictures of each class were told.
        """
        found = tuple(answers)
        rng = np.random.default_rng(options.seed)
        names, count = list(labels), min(options.points, len(labels))
        shown = [names[n] for n in np.sort(rng.choice(len(names), count, replace=False))]
        said = tuple(labels[name] for name in shown)
        geometry = None
        if images and texts:
            geometry = Geometry.of(
                np.stack([embeddings.images[record.id] for record in images]),
                np.stack([embeddings.texts[record.text or ""] for record in texts]),
                np.array([groups[record.id] for record in images]),
                np.array([groups[record.id] for record in texts]),
                seed=options.seed,
            )
        projection = None
        if shown:
            projection = Projection.of(
                np.stack([embeddings.images[name] for name in shown]),
                np.stack([embeddings.texts[text] for text in said]),
                said,
            )
        tasks = [_task_result(one, options) for one in found]
        if classes:
            tasks = [
                replace(
                    task, measures=task.measures | {MEAN_PER_CLASS: mean_per_class(one, options)}
                )
                for task, one in zip(tasks, found, strict=True)
            ]
        result = EncoderResult(
            name=encoder.name,
            fingerprint=encoder.fingerprint,
            dimension=encoder.dimension,
            seconds=embeddings.seconds,
            tasks=tuple(tasks),
            calibrated=calibrated,
            classes=classes,
            geometry=geometry,
            projection=projection,
        )
        return cls(result, found)


def report_of(
    measured: Sequence[Measured],
    data: DataSummary,
    captions: Captions,
    options: EvaluationOptions,
    has_examples: Callable[[RetrievalTask], bool] = lambda task: True,
) -> Report:
    """What an encoder, or an encoder and the one that it is compared with, amount to.

    Args:
        measured: One or two, over the same tasks.
        data: What they were asked about.
        captions: What is said of each picture, by its id.
        options: How many examples.
        has_examples: Whether queries of a task are shown.
    """
    encoder, against = measured[0], measured[1] if len(measured) > 1 else None
    failures, gained, lost = [], [], []
    for number, answers in enumerate(encoder.answers):
        if has_examples(answers.task):
            failures += worst_failures(answers, captions, options.examples)
            if against is not None:
                before = against.answers[number]
                better, worse = largest_changes(answers, before, captions, options.examples)
                gained += better
                lost += worse
    return Report(
        data=data,
        options=options,
        encoder=encoder.result,
        against=None if against is None else against.result,
        differences=() if against is None else _differences(encoder, against, options),
        failures=tuple(failures),
        gained=tuple(gained),
        lost=tuple(lost),
        environment=Environment.here(),
    )


def _task_result(answers: Answers, options: EvaluationOptions) -> TaskResult:
    """Measures with their intervals, and who has the first places."""
    task = answers.task
    return TaskResult(
        task=task.name,
        queries=len(task.queries),
        groups=len(np.unique(task.groups)),
        candidates=len(task.candidates),
        single=all(len(wanted) == 1 for wanted in task.relevant),
        measures=estimates_of(answers.ranking.measures(options.ks), task.groups, options),
        hubness=Hubness.of(answers),
        mteb=retrieval_scores(answers.ranking),
    )


def _differences(
    encoder: Measured, against: Measured, options: EvaluationOptions
) -> tuple[Difference, ...]:
    """Encoder minus other, task by task, query by query."""
    differences = []
    for ours, theirs in zip(encoder.answers, against.answers, strict=True):
        ones, others = ours.ranking.measures(options.ks), theirs.ranking.measures(options.ks)
        change = {name: ones[name] - others[name] for name in ones}
        measures = estimates_of(change, ours.task.groups, options)
        if encoder.result.classes:
            measures[MEAN_PER_CLASS] = difference_per_class(ours, theirs, options)
        differences.append(Difference(ours.task.name, measures))
    return tuple(differences)
