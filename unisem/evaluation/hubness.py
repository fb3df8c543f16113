"""`Hubness`: whether a few candidates answer everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisem.evaluation.answers import Answers
from unisem.evaluation.tasks import Form, form_of


@dataclass(frozen=True, slots=True)
class Hubness:
    """How evenly the places among the first 10 are shared out.

    N_10, a candidate's k-occurrence, is the number of queries that have it among their first 10
    (Radovanović, Nanopoulos and Ivanović 2010, "Hubs in space", JMLR 11).

    Attributes:
        skewness: Third standardised moment of N_10; 0 is even, above 1 there are hubs.
        gini: Gini coefficient of N_10, from 0 (all alike) to 1 (one has everything).
        largest: Share of the queries that have the most frequent candidate among their first 10.
        hub: That candidate's id.
        never: Share of the candidates that no query has among its first 10.
        found: Share of the places that each form of candidate has.
        present: Share of the candidates that have each form.
    """

    skewness: float
    gini: float
    largest: float
    hub: str
    never: float
    found: dict[Form, float]
    present: dict[Form, float]

    @classmethod
    def of(cls, answers: Answers) -> Hubness:
        """Count the first 10 places, or as many as the answers hold."""
        candidates = answers.task.candidates
        return cls.over(
            answers.top[:, :10],
            [record.id for record in candidates],
            [form_of(record) for record in candidates],
        )

    @classmethod
    def over(cls, top: NDArray[np.int64], ids: Sequence[str], forms: Sequence[Form]) -> Hubness:
        """Count places.

        Args:
            top: ``(queries, places)`` numbers of what came first.
            ids: ``(candidates,)``.
            forms: ``(candidates,)``.
        """
        occurrence = np.bincount(top.ravel(), minlength=len(ids)).astype(np.float64)
        spread = occurrence.std()
        centred = occurrence - occurrence.mean()
        ascending = np.sort(occurrence)
        place = np.arange(1, len(ascending) + 1)
        gini = ((2 * place - len(ascending) - 1) * ascending).sum() / (
            len(ascending) * ascending.sum()
        )
        kind = np.array(forms)
        kinds: tuple[Form, ...] = ("text", "image", "captioned image")
        here = [one for one in kinds if (kind == one).any()]
        return cls(
            skewness=float((centred**3).mean() / spread**3) if spread else 0.0,
            gini=float(gini),
            largest=float(occurrence.max() / len(top)),
            hub=ids[int(occurrence.argmax())],
            never=float((occurrence == 0).mean()),
            found={one: float((kind[top] == one).mean()) for one in here},
            present={one: float((kind == one).mean()) for one in here},
        )
