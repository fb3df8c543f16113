"""`calibrated_tasks`: what a calibration does in one list, on data that it was not fitted to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisem.calibration import Sample, fit_calibration
from unisem.calibration.sample import FEWEST
from unisem.common.interrupts import raise_if_interrupted
from unisem.evaluation.answers import Answers
from unisem.evaluation.bootstrap import Floats, bootstrap_intervals
from unisem.evaluation.embeddings import Embeddings, Progress
from unisem.evaluation.hubness import Hubness
from unisem.evaluation.options import EvaluationOptions
from unisem.evaluation.pair_tasks import IMAGE_TO_MIXED, TEXT_TO_MIXED, PairTasks
from unisem.evaluation.report import CalibratedTask, Estimate
from unisem.pairs.dataset import PairDataset

_MOST = 1000  # groups that are halved: what one more tells is less than what it costs
_MIXED = (TEXT_TO_MIXED, IMAGE_TO_MIXED)


def calibrated_tasks(
    fingerprint: str,
    dataset: PairDataset,
    tasks: PairTasks,
    embeddings: Embeddings,
    options: EvaluationOptions,
    progress: Progress | None = None,
) -> tuple[CalibratedTask, ...]:
    """Halve, fit, ask; nothing where a half would hold too few pictures or texts to fit to.

    Args:
        fingerprint: Of the encoder.
        dataset: Checked pairs.
        tasks: Of all of them.
        embeddings: Vectors of all of them.
        options: How many halvings, and the seed.
        progress: Called after each halving.
    """
    groups = dataset.groups
    rng = np.random.default_rng(options.seed)
    drawn = rng.permutation(np.unique(groups))[:_MOST]
    runs: dict[str, _Runs] = {name: _Runs([], []) for name in _MIXED}
    for split in range(options.splits):
        raise_if_interrupted()
        one, other = (
            dataset.select(np.flatnonzero(np.isin(groups, half)))
            for half in np.array_split(rng.permutation(drawn), 2)
        )
        sample = _sample(one, tasks, embeddings)
        if min(len(sample.texts), len(sample.images)) < FEWEST:
            return ()
        fitted = fit_calibration(sample, fingerprint=fingerprint, seed=split)
        for task in PairTasks.of(other, seed=split).tasks:
            if task.name in runs:
                runs[task.name].before.append(Answers.of(task, embeddings))
                runs[task.name].after.append(Answers.of(task, embeddings, calibration=fitted))
        if progress is not None:
            progress("calibrating to halves", split + 1, options.splits)
    return tuple(found.result(name, tasks, options) for name, found in runs.items() if found.before)


def _sample(pairs: PairDataset, tasks: PairTasks, embeddings: Embeddings) -> Sample:
    """What a space of these captioned pictures has to fit from."""
    chosen = PairTasks.of(pairs)
    words = [record.text or "" for record in chosen.texts]
    return Sample(
        np.stack([embeddings.texts[text] for text in words]),
        np.stack([embeddings.queries[text] for text in words]),
        np.stack([embeddings.images[record.id] for record in chosen.images]),
        np.array([tasks.groups[record.id] for record in chosen.texts]),
        np.array([tasks.groups[record.id] for record in chosen.images]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """The answers of every halving, by raw cosine and calibrated."""

    before: list[Answers]
    after: list[Answers]

    def result(self, name: str, tasks: PairTasks, options: EvaluationOptions) -> CalibratedTask:
        ids, before, names = _means(self.before, options)
        _, after, _ = _means(self.after, options)
        groups = np.array([tasks.groups[one] for one in ids])

        def estimates(values: Floats) -> dict[str, Estimate]:
            intervals = bootstrap_intervals(
                values,
                groups=groups,
                confidence=options.confidence,
                rounds=options.rounds,
                seed=options.seed,
            )
            return {
                measure: Estimate(float(column.mean()), float(low), float(high))
                for measure, column, (low, high) in zip(names, values.T, intervals, strict=True)
            }

        return CalibratedTask(
            task=name,
            queries=len(ids),
            before=estimates(before),
            after=estimates(after),
            change=estimates(after - before),
            hub_before=_hub(self.before),
            hub_after=_hub(self.after),
        )


def _means(runs: list[Answers], options: EvaluationOptions) -> tuple[list[str], Floats, list[str]]:
    """Ids of the queries, ``(queries, measures)`` of their means over halvings, and the names."""
    values: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    names: list[str] = []
    for answers in runs:
        measures = answers.ranking.measures(options.ks)
        names = list(measures)
        rows = np.column_stack([*measures.values()])
        for query, row in zip(answers.task.queries, rows, strict=True):
            values[query.id].append(row)
    ids = sorted(values)
    return ids, np.array([np.mean(values[one], axis=0) for one in ids]), names


def _hub(runs: list[Answers]) -> float:
    return float(np.mean([Hubness.of(answers).largest for answers in runs]))
