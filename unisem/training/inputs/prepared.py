"""`PreparedPairs`: pairs ready to be trained on, or to be evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unisem.encoders.base import Role
from unisem.pairs.dataset import Ids
from unisem.pairs.input import Form
from unisem.training.inputs.columns import Column, Seed

Slot = tuple[Role, Form]
"""How an input enters a model. A picture alone enters as a document wherever it stands, since it is
searched for and searched with in the same way."""


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Distinct inputs, numbered, and the columns that they are in.

    Attributes:
        columns: A column for each slot.
        slots: The slot of each input.
        positions: ``(N,)`` where each is in its slot's column.
    """

    columns: Mapping[Slot, Column]
    slots: tuple[Slot, ...]
    positions: Ids

    def features(self, numbers: Sequence[int], seed: Seed | None = None) -> dict[str, Any]:
        """The model's input features of some inputs, all of one slot; see `Column.features`."""
        (slot,) = {self.slots[number] for number in numbers}
        return self.columns[slot].features(self.positions[list(numbers)].tolist(), seed)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPairs:
    """Pairs whose inputs a model can be given.

    Attributes:
        inputs: What the pairs are made of.
        queries: ``(n,)`` the number of each pair's query.
        documents: ``(n,)`` the number of its document.
        negatives: The numbers of its given negatives.
        query_ids: ``(n,)`` ids of queries; equal where these are the same.
        document_ids: ``(N,)`` ids of inputs as documents; those of the pairs' come first.
    """

    inputs: Inputs
    queries: Ids
    documents: Ids
    negatives: tuple[tuple[int, ...], ...]
    query_ids: Ids
    document_ids: Ids

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def kinds(self) -> dict[str, Ids]:
        """Which pairs are of each kind, in the order of appearance; see `Pair.kind`."""
        slots = self.inputs.slots
        rows: dict[str, list[int]] = {}
        for row, (query, document) in enumerate(zip(self.queries, self.documents, strict=True)):
            rows.setdefault(f"{slots[query][1]} to {slots[document][1]}", []).append(row)
        return {kind: np.array(found, np.int64) for kind, found in rows.items()}

    @property
    def is_uniform(self) -> bool:
        """Whether every batch of these pairs passes the same modules."""
        slots = self.inputs.slots
        shown = {slots[number] for row in self.negatives for number in row}
        return len(self.kinds) == 1 and shown <= {slots[int(self.documents[0])]}

    def labels(self, rows: Sequence[int]) -> Ids:
        """``(len(rows), 2)`` the ids of documents and of queries of some pairs."""
        at = list(rows)
        return np.stack([self.document_ids[self.documents[at]], self.query_ids[at]], axis=1)
