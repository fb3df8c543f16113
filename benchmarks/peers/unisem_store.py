"""`UniSem`: this project's embedded store, used directly."""

# ruff: noqa: D102  # the docstrings are the base class's
from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers.base import Found, Peer, Rows, UnavailableError, Vector
from unisem.filters import Field
from unisem.images.library import ImageLibrary
from unisem.records import EmbeddedRecord, Record
from unisem.stores.faiss import FaissStore
from unisem.stores.faiss.index_settings import KINDS, IndexSettings
from unisem.stores.selection import EVERYTHING, Selection


class UniSem(Peer):
    """`FaissStore`, durable, compacted into the asked kind of index after the last row."""

    def __init__(self, directory: Path, dimension: int, kind: str) -> None:
        if kind not in (*KINDS, "auto"):
            raise UnavailableError(f"the store in this checkout has no index of kind {kind}")
        self._directory = directory
        self._kind: Any = kind
        self._store = self._opened(self._kind)

    def add(self, rows: Rows) -> None:
        self._store.add(
            [
                EmbeddedRecord(Record(id=record_id, text=text, metadata=metadata), {"text": vector})
                for record_id, text, metadata, vector in zip(
                    rows.ids, rows.texts, rows.metadata, rows.vectors, strict=True
                )
            ]
        )

    def build(self) -> str:
        return self._store.compact()

    def delete(self, numbers: list[int]) -> None:
        removed = self._store.delete(Selection(ids=tuple(str(number) for number in numbers)))
        assert removed == len(numbers)

    def search(self, vector: Vector, k: int, below_year: int | None) -> list[Found]:
        selection = EVERYTHING
        if below_year is not None:
            selection = Selection(filter=Field("year") < below_year)
        return [
            Found(int(hit.record.id), hit.record.text or "", hit.record.metadata["year"])
            for hit in self._store.search(vector[None], k, selection)[0]
        ]

    def tune(self, effort: int | None) -> None:
        """Open again with so many times the usual effort."""
        settings = IndexSettings(self._kind, effort=1 if effort is None else effort)
        self._store.close()
        self._store = self._opened(settings)

    def _opened(self, index: Any) -> FaissStore:
        return FaissStore(self._directory, ImageLibrary(self._directory), index=index)

    def close(self) -> None:
        self._store.close()
