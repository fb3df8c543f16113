"""The store that is too simple to be wrong: a list, and NumPy over all of it."""

from __future__ import annotations

import numpy as np

from unisem.calibration import Calibration, QueryKind
from unisem.filters import matches
from unisem.records import VECTOR_KINDS, EmbeddedRecord, Vector
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
            and (
                selection.digests is None
                or (item.record.image is not None and item.record.image.sha256 in selection.digests)
            )
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

    def search_calibrated(
        self,
        calibration: Calibration,
        vector: Vector,
        asked: QueryKind,
        k: int,
        selection: Selection = EVERYTHING,
        match: Match = "any",
    ) -> list[tuple[str, float, str, float | None]]:
        """Id, standard score, kind and relevance of the best records, best first, ties by id."""
        query = calibration.query(vector, asked)
        owners = [
            (record_id, kind, row)
            for record_id in self.select(selection)
            for kind, rows in self.items[record_id].vectors.items()
            if match in ("any", kind)
            for row in np.atleast_2d(rows)
        ]
        if not owners:
            return []
        codes = np.array([VECTOR_KINDS.index(kind) for _, kind, _ in owners])
        searched = calibration.documents(np.stack([row for *_, row in owners]), codes)
        products = searched.astype(np.float64) @ query.vector.astype(np.float64)
        scales = {
            kind: query.scale(kind, candidates=int((codes == code).sum()))
            for code, kind in enumerate(VECTOR_KINDS)
        }
        best: dict[str, tuple[str, float, str, float | None]] = {}
        for (record_id, kind, _), product in zip(owners, products, strict=True):
            score = float(scales[kind].comparable(product))
            chances = scales[kind].relevance(np.array([product]))
            chance = None if chances is None else float(chances[0])
            if record_id not in best or score > best[record_id][1]:
                best[record_id] = (record_id, score, kind, chance)
        # Sums differ in their last digits by order; such scores are one, and go by id.
        return sorted(best.values(), key=lambda hit: (-round(hit[1], 9), hit[0]))[:k]
