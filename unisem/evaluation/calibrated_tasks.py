"""`calibrated_tasks`: what a calibration does in one list, on data that it was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unisem.calibration import Sample, fit_calibration
from unisem.calibration.sample import FEWEST
from unisem.common.interrupts import raise_if_interrupted
from unisem.evaluation.answers import Answers
from unisem.evaluation.bootstrap import Floats
from unisem.evaluation.embeddings import Embeddings, Progress
from unisem.evaluation.hubness import Hubness
from unisem.evaluation.options import EvaluationOptions
from unisem.evaluation.pair_tasks import IMAGE_TO_MIXED, TEXT_TO_MIXED, PairTasks
from unisem.evaluation.report import CalibratedTask, estimates_of
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
        if min(len(set(half.tolist())) for half in one.contents.T) < FEWEST:
            return ()
        sample = _sample(one, tasks, embeddings)
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
        fused=np.stack([embeddings.fused[record.id] for record in chosen.images])
        if embeddings.fused
        else None,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """The answers of every halving, by raw cosine and calibrated."""

    before: list[Answers]
    after: list[Answers]

    def result(self, name: str, tasks: PairTasks, options: EvaluationOptions) -> CalibratedTask:
        ids, before = _means(self.before, options)
        _, after = _means(self.after, options)
        groups = np.array([tasks.groups[one] for one in ids])
        change = {measure: after[measure] - before[measure] for measure in before}
        return CalibratedTask(
            task=name,
            queries=len(ids),
            before=estimates_of(before, groups, options),
            after=estimates_of(after, groups, options),
            change=estimates_of(change, groups, options),
            hub_before=_hub(self.before),
            hub_after=_hub(self.after),
        )


def _means(runs: list[Answers], options: EvaluationOptions) -> tuple[list[str], dict[str, Floats]]:
    """Ids of the queries, and of each measure ``(queries,)`` means over halvings."""
    asked = np.array([query.id for answers in runs for query in answers.task.queries])
    ids, query = np.unique(asked, return_inverse=True)
    measured = [answers.ranking.measures(options.ks) for answers in runs]
    return ids.tolist(), {
        name: np.bincount(query, np.concatenate([one[name] for one in measured]))
        / np.bincount(query)
        for name in measured[0]
    }


def _hub(runs: list[Answers]) -> float:
    return float(np.mean([Hubness.of(answers).largest for answers in runs]))
