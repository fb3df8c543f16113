"""`RetrievalTask`: queries, one list of candidates, and what is relevant to what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unisem.records import Record

Form = Literal["text", "image", "captioned image"]


@dataclass(frozen=True, slots=True, eq=False)
class RetrievalTask:
    """One retrieval task over one list of candidates, of whatever forms.

    Queries and candidates are records: a text, a picture, or both. A captioned picture among the
    candidates is found by the best of its vectors, its text's, its picture's and the fused one
    where the encoder fuses; a query of both is their fused vector or else their mean: all as in a
    space.

    Attributes:
        name: What to call it in a report.
        queries: What is asked; ids are unique.
        candidates: What can be found, sorted by id, so that ties are broken by id.
        relevant: For each query the relevant candidates' ids and how relevant each is, above 0.
        groups: ``(queries,)`` numbers; queries of one group are resampled together.
        hidden: For each query the id of a candidate that it never finds, or ``None``; for none of
            them any if it is empty.
        unfindable: Ids of what is relevant, but not there: it counts as never found.
    """

    name: str
    queries: tuple[Record, ...]
    candidates: tuple[Record, ...]
    relevant: tuple[Mapping[str, float], ...]
    groups: NDArray[np.int64]
    hidden: tuple[str | None, ...] = ()
    unfindable: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not len(self.queries) == len(self.relevant) == len(self.groups):
            raise ValueError(
                f"task {self.name!r}: {len(self.queries)} queries, {len(self.relevant)} sets of "
                f"relevant candidates and {len(self.groups)} groups; they must be as many"
            )
        ordered = tuple(sorted(self.candidates, key=lambda record: record.id))
        object.__setattr__(self, "candidates", ordered)
        ids = {record.id for record in ordered}
        if len(ids) < len(ordered):
            raise ValueError(f"task {self.name!r}: two candidates have the same id")
        for query, wanted in zip(self.queries, self.relevant, strict=True):
            if not wanted or not self.unfindable.issuperset(wanted.keys() - ids):
                raise ValueError(
                    f"task {self.name!r}: the query {query.id!r} needs relevant candidates, "
                    "and all of them among the candidates"
                )
        if self.hidden:
            for query, wanted, hidden in zip(self.queries, self.relevant, self.hidden, strict=True):
                if hidden is not None and (hidden in wanted or hidden not in ids):
                    raise ValueError(
                        f"task {self.name!r}: what is hidden from the query {query.id!r} must be "
                        "a candidate, and none that is relevant"
                    )


def form_of(record: Record) -> Form:
    """What a record consists of."""
    if record.image is None:
        return "text"
    return "image" if record.text is None else "captioned image"
