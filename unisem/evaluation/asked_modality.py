"""`AskedModality`: whether the modality comes back that queries ask for in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from unisem.evaluation.asked_queries import AskedQuery
from unisem.evaluation.tasks import Form
from unisem.records import Modality
from unisem.stores.hits import Hit


@dataclass(frozen=True, slots=True)
class AskedModality:
    """What queries found that want records of one modality ("a picture of …").

    Attributes:
        modality: Which; a captioned picture is an ``"image"``, as for `Query`.
        queries: How many want it.
        ten: Mean share of the first ten that are of it.
        first: Share of the queries whose first hit is of it.
        present: Share of the space's records that are of it.
    """

    modality: Modality
    queries: int
    ten: float
    first: float
    present: float


def asked_modalities(
    queries: Sequence[AskedQuery],
    hits: Sequence[Sequence[Hit] | None],
    forms: Mapping[Form, int],
) -> tuple[AskedModality, ...]:
    """Look at what came back to the queries that want a modality.

    Args:
        queries: What was asked, without ``modality=``; those that want none are left out.
        hits: What each found, at most ten; ``None`` where it could not ask.
        forms: How many records of each form the space holds.

    Returns:
        One for each modality that some query wants.
    """
    texts, every = forms.get("text", 0), sum(forms.values())
    made = []
    for modality in get_args(Modality):
        found = [
            [hit.record.modality == modality for hit in some]
            for query, some in zip(queries, hits, strict=True)
            if query.modality == modality and some
        ]
        if found:
            made.append(
                AskedModality(
                    modality=modality,
                    queries=len(found),
                    ten=float(np.mean([np.mean(one) for one in found])),
                    first=float(np.mean([one[0] for one in found])),
                    present=(texts if modality == "text" else every - texts) / every,
                )
            )
    return tuple(made)
