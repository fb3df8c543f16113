"""What answers amount to: `task_result` of one encoder, `differences_of` two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unisem.evaluation.answers import Answers
from unisem.evaluation.bootstrap import Floats, bootstrap_intervals
from unisem.evaluation.hubness import Hubness
from unisem.evaluation.options import EvaluationOptions
from unisem.evaluation.report import Difference, Estimate, TaskResult


def task_result(answers: Answers, options: EvaluationOptions) -> TaskResult:
    """Measures with their intervals, and who has the first places."""
    task = answers.task
    return TaskResult(
        task=task.name,
        queries=len(task.queries),
        groups=len(np.unique(task.groups)),
        candidates=len(task.candidates),
        single=all(len(wanted) == 1 for wanted in task.relevant),
        measures=_estimates(answers.ranking.measures(options.ks), answers, options),
        hubness=Hubness.of(answers),
    )


def differences_of(
    encoder: Sequence[Answers], against: Sequence[Answers], options: EvaluationOptions
) -> tuple[Difference, ...]:
    """Encoder minus other, task by task, query by query."""
    differences = []
    for ours, theirs in zip(encoder, against, strict=True):
        ones, others = ours.ranking.measures(options.ks), theirs.ranking.measures(options.ks)
        change = {name: ones[name] - others[name] for name in ones}
        differences.append(Difference(ours.task.name, _estimates(change, ours, options)))
    return tuple(differences)


def _estimates(
    measures: dict[str, Floats], answers: Answers, options: EvaluationOptions
) -> dict[str, Estimate]:
    intervals = bootstrap_intervals(
        np.column_stack(list(measures.values())),
        groups=answers.task.groups,
        confidence=options.confidence,
        rounds=options.rounds,
        seed=options.seed,
    )
    return {
        name: Estimate(float(values.mean()), float(low), float(high))
        for (name, values), (low, high) in zip(measures.items(), intervals, strict=True)
    }
