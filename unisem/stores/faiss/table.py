"""`RecordTable`: which records a selection chooses, without reading their JSON each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unisem.filters import fields_of
from unisem.stores.faiss.catalog import Catalog
from unisem.stores.faiss.columns import Column, evaluate
from unisem.stores.faiss.snapshot import Snapshot
from unisem.stores.selection import Selection

Mask = NDArray[np.bool_]


class RecordTable:
    """Columns of metadata by record ordinal, read from the catalogue when first needed.

    Not thread-safe by itself; the store holds a lock around it.

    Args:
        catalog: Where the records are.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._columns: dict[str, Column] = {}
        self._pictures = Column()

    def choose(self, selection: Selection, snapshot: Snapshot) -> Mask:
        """``(records,)``: which of a snapshot's living records a selection chooses."""
        length = len(snapshot.rows)
        mask: Mask = snapshot.alive.copy()
        if selection.ids is not None or selection.source_ids is not None:
            named = Selection(ids=selection.ids, source_ids=selection.source_ids)
            listed = np.zeros(length, np.bool_)
            listed[snapshot.ordinals(self._catalog.rows(named))] = True
            mask &= listed
        if selection.modality is not None:
            self._extend(self._pictures, None, snapshot)
            mask &= self._pictures.equals(selection.modality, length)
        if selection.filter is not None:
            for field in fields_of(selection.filter):
                self._extend(self._columns.setdefault(field, Column()), field, snapshot)
            mask &= evaluate(selection.filter, self._columns, length)
        return mask

    def _extend(self, column: Column, field: str | None, snapshot: Snapshot) -> None:
        if len(column) >= len(snapshot.rows):
            return
        after = int(snapshot.rows[len(column) - 1]) if len(column) else -1
        rows, values = self._catalog.values(field, after, int(snapshot.rows[-1]))
        places = np.searchsorted(snapshot.rows, rows)
        column.extend(places, values, len(snapshot.rows))
