"""The store that is too simple to be wrong: a list, and NumPy over all of it."""

from __future__ import annotations

import numpy as np

from unisem.filters import matches
from unisem.records import EmbeddedRecord, Vector
from unisem.stores.selection import EVERYTHING, Match, Selection


class BruteForce:
    """Ids in insertion order with their vectors; the semantics of `unisem.stores.Store`."""

    def __init__(self) -> None:
        self.items: dict[str, EmbeddedRecord] = {}

    def add(self, items: list[EmbeddedRecord]) -> None:
        for item in items:
            self.items.pop(item.record.id, None)
            self.items[item.record.id] = item

    def delete(self, selection: Selection) -> int:
        ids = self.select(selection)
        for record_id in ids:
            del self.items[record_id]
        return len(ids)

    def select(self, selection: Selection = EVERYTHING) -> list[str]:
        return [
            record_id
            for record_id, item in self.items.items()
            if (selection.ids is None or record_id in selection.ids)
            and (selection.source_ids is None or item.record.source_id in selection.source_ids)
            and (selection.modality in (None, item.record.modality))
            and (selection.filter is None or matches(selection.filter, item.record.metadata))
        ]

    def search(
        self, vector: Vector, k: int, selection: Selection = EVERYTHING, match: Match = "any"
    ) -> list[tuple[str, float, str]]:
        """Id, score and kind of the best records, best first, ties by id."""
        found = []
        for record_id in self.select(selection):
            scores = [
                (float(np.float32(np.max(np.atleast_2d(rows) @ vector))), kind)
                for kind, rows in self.items[record_id].vectors.items()
                if match in ("any", kind)
            ]
            if scores:
                score, kind = max(scores)
                found.append((record_id, score, kind))
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))[:k]
