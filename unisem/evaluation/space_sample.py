"""`SpaceSample`: records drawn from a space, and how many of each form it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from unisem.common.interrupts import raise_if_interrupted
from unisem.errors import UniSemError
from unisem.evaluation.embeddings import Progress
from unisem.evaluation.tasks import Form, form_of
from unisem.records import Record, Vector
from unisem.space import SemanticSpace
from unisem.stores.vectors import unit

FEWEST = 12
"""Records below which nothing is said: the first ten places would hold nearly all of them."""
_AT_ONCE = 256  # records whose vectors are fetched together


@dataclass(frozen=True, slots=True, eq=False)
class SpaceSample:
    """What is looked at of a space.

    Attributes:
        forms: How many records of each form the space holds.
        position: A number for each of its records' ids.
        form: ``form[position[id]]`` is a record's form.
        records: Those drawn, each as likely as any, in the space's order.
        texts: ``(d,)`` float32 vectors of drawn records' texts, by id.
        images: ``(d,)`` float32 vectors of their pictures, by id.
    """

    forms: Mapping[Form, int]
    position: Mapping[str, int] = field(repr=False)
    form: tuple[Form, ...] = field(repr=False)
    records: tuple[Record, ...] = field(repr=False)
    texts: Mapping[str, Vector] = field(repr=False)
    images: Mapping[str, Vector] = field(repr=False)

    @classmethod
    def of(
        cls, space: SemanticSpace, size: int, seed: int, progress: Progress | None
    ) -> SpaceSample:
        """Draw records in one pass that holds no more than the sample and all ids.

        Args:
            space: Where from.
            size: How many at most.
            seed: Decides which.
            progress: Called with records seen and records in all.

        Raises:
            UniSemError: The space holds too few.
        """
        total = len(space)
        if total < FEWEST:
            raise UniSemError(
                f"the space holds {total:,} records; a diagnosis needs {FEWEST} at least"
            )
        rng = np.random.default_rng(seed)
        position: dict[str, int] = {}
        forms: list[Form] = []
        drawn: list[tuple[int, Record]] = []
        for number, record in enumerate(space.store.select()):
            position[record.id] = number
            forms.append(form_of(record))
            if number < size:
                drawn.append((number, record))
            elif (place := int(rng.integers(number + 1))) < size:  # Vitter's algorithm R
                drawn[place] = (number, record)
            if number % 1000 == 0:
                raise_if_interrupted()
                if progress is not None:
                    progress("reading records", number, total)
        records = [record for _, record in sorted(drawn, key=lambda it: it[0])]
        texts, images = _vectors(space, records)
        return cls(Counter(forms), position, tuple(forms), tuple(records), texts, images)

    @property
    def ids(self) -> list[str]:
        """All ids of the space, by their numbers."""
        return list(self.position)

    def drawn(self, count: int, forms: tuple[Form, ...], seed: int) -> list[Record]:
        """Some of the drawn records of some forms, at most ``count``."""
        suitable = [record for record in self.records if form_of(record) in forms]
        suitable = [record for record in suitable if record.text is None or record.text.strip()]
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.permutation(len(suitable))[:count])
        return [suitable[int(place)] for place in chosen]


def _vectors(
    space: SemanticSpace, records: list[Record]
) -> tuple[dict[str, Vector], dict[str, Vector]]:
    """The first vector of texts and of pictures, where a record has several; no fused ones."""
    found: dict[str, dict[str, Vector]] = {"text": {}, "image": {}}
    for start in range(0, len(records), _AT_ONCE):
        raise_if_interrupted()
        ids = [record.id for record in records[start : start + _AT_ONCE]]
        for name, vectors in zip(ids, space.store.vectors(ids), strict=True):
            for kind, rows in (vectors or {}).items():
                if kind in found:
                    found[kind][name] = unit(np.atleast_2d(rows)[0], "a stored vector")
    return found["text"], found["image"]
