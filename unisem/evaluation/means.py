"""`means_of_others`: where queries are seen from, without a query having a part in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisem.evaluation.tasks import RetrievalTask, form_of
from unisem.records import Vector


def unit_or_zero(rows: NDArray[Any]) -> Vector:
    """Rows at length 1; one that is its own mean has no direction and stays zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found: Vector = (rows / np.maximum(lengths, 1e-12)).astype(np.float32)
    return found


def means_of_others(queries: Vector, task: RetrievalTask, seed: int) -> Vector:
    """For each query the mean of those of its form in the half that it is not in, ``(n, d)``.

    Queries of one group are in one half; where the other half has none of a form, nothing is
    taken off.

    Args:
        queries: ``(n, d)`` vectors of the task's queries.
        task: Says what they are, and which belong together.
        seed: Decides the halves.
    """
    count = int(task.groups.max()) + 1
    half = np.random.default_rng(seed).permutation(np.arange(count) % 2)[task.groups]
    forms = np.array([form_of(record) for record in task.queries])
    means = np.zeros_like(queries)
    for form in set(forms.tolist()):
        for number in (0, 1):
            others = queries[(forms == form) & (half != number)]
            if len(others):
                means[(forms == form) & (half == number)] = others.mean(axis=0)
    return means
