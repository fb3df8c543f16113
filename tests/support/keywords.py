"""Records, a store and its answers, for tests of keyword search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from unisem import Record
from unisem.images.library import ImageLibrary
from unisem.images.reference import ImageRef
from unisem.records import EmbeddedRecord
from unisem.stores.faiss import FaissStore
from unisem.stores.selection import EVERYTHING, Selection

VECTOR = np.eye(4, dtype=np.float32)[0]


def item(record_id: str, text: str | None = None, **metadata: Any) -> EmbeddedRecord:
    source = metadata.pop("source_id", None)
    image = ImageRef(path=Path("/p/a.png"), root=Path("/p"), sha256="00") if text is None else None
    record = Record(id=record_id, text=text, image=image, metadata=metadata, source_id=source)
    return EmbeddedRecord(record, {record.modality: VECTOR})


def open_store(path: Path | None = None) -> FaissStore:
    return FaissStore(path, ImageLibrary(path))


def found(
    store: FaissStore, text: str, k: int = 50, selection: Selection = EVERYTHING
) -> list[str]:
    return [hit.record.id for hit in store.search_words(text, k, selection)]
