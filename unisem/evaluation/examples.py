"""Which queries a report shows: the worst failures, and what changed most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from unisem.evaluation.answers import Answers
from unisem.evaluation.report import Answer, Example, Found

_FOUND = 3  # of the best candidates are shown

Captions = Mapping[str, tuple[str, ...]]


def worst_failures(answers: Answers, captions: Captions, count: int) -> list[Example]:
    """The queries whose first relevant candidate comes last, worst first, one of each group.

    Those that can find nothing say nothing about an encoder, and are passed over.
    """
    first = answers.ranking.first
    order = np.argsort(-first, kind="stable")
    failed = [q for q in order if first[q] > 1 and answers.wanted[q] >= 0]
    chosen = _one_of_each_group(answers, failed, count)
    return [_example(answers, None, query, captions) for query in chosen]


def largest_changes(
    answers: Answers, before: Answers, captions: Captions, count: int
) -> tuple[list[Example], list[Example]]:
    """The queries that gained, and that lost, most reciprocal rank; one of each group."""
    change = answers.ranking.reciprocal_rank() - before.ranking.reciprocal_rank()
    examples = []
    for sign in (1, -1):
        order = np.argsort(-sign * change, kind="stable")
        moved = [query for query in order if sign * change[query] > 0]
        chosen = _one_of_each_group(answers, moved, count)
        examples.append([_example(answers, before, query, captions) for query in chosen])
    return examples[0], examples[1]


def _one_of_each_group(answers: Answers, queries: Sequence[np.int64], count: int) -> list[int]:
    chosen: dict[int, int] = {}
    for query in queries:
        if len(chosen) == count:
            break
        chosen.setdefault(int(answers.task.groups[query]), int(query))
    return list(chosen.values())


def _example(answers: Answers, before: Answers | None, query: int, captions: Captions) -> Example:
    task = answers.task
    wanted = task.candidates[answers.wanted[query]]
    return Example(
        task=task.name,
        query=task.queries[query],
        captions=captions.get(task.queries[query].id, ()),
        wanted=wanted,
        wanted_captions=captions.get(wanted.id, ()),
        answer=_answer(answers, query, captions),
        before=None if before is None else _answer(before, query, captions),
    )


def _answer(answers: Answers, query: int, captions: Captions) -> Answer:
    task = answers.task
    positions: NDArray[np.int64] = answers.top[query, :_FOUND]
    found = []
    for position, score in zip(positions, answers.scores[query], strict=False):
        record = task.candidates[position]
        found.append(
            Found(
                record,
                captions.get(record.id, ()),
                float(score),
                record.id in task.relevant[query],
            )
        )
    return Answer(
        int(answers.ranking.first[query]), float(answers.wanted_scores[query]), tuple(found)
    )
