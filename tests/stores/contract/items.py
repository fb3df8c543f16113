"""Records with vectors, and what brute force says of a store that holds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.oracle import BruteForce
from unisem import Record
from unisem.filters import Field
from unisem.images.reference import ImageRef
from unisem.records import VECTOR_KINDS, EmbeddedRecord, Vector
from unisem.stores import Store
from unisem.stores.selection import EVERYTHING, Selection

DIMENSION = 8
PICTURE = ImageRef(path=Path("/pictures/a.png"), root=Path("/pictures"), sha256="00")


def item(
    record_id: str, seed: int, *, picture: bool = False, year: int = 2000, source: str | None = None
) -> EmbeddedRecord:
    """A text, or a captioned picture, of which two of three have a fused vector, too."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((3, DIMENSION)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    image = PICTURE if picture else None
    record = Record(
        id=record_id,
        text=f"text {seed}",
        image=image,
        metadata={"year": year, "seed": seed},
        source_id=source,
    )
    kinds = VECTOR_KINDS[: (3 if seed % 3 else 2) if picture else 1]
    return EmbeddedRecord(record, dict(zip(kinds, rows, strict=False)))


def query(seed: int) -> Vector:
    vector = np.random.default_rng([7, seed]).standard_normal(DIMENSION).astype(np.float32)
    unit: Vector = vector / np.linalg.norm(vector)
    return unit


SELECTIONS = (
    EVERYTHING,
    Selection(modality="image"),
    Selection(filter=Field("year") >= 2003),
    Selection(source_ids=("s1", "nowhere")),
    Selection(ids=("a", "c", "nobody")),
    Selection(ids=()),
    Selection(ids=("a", "b", "c"), modality="text", filter=~(Field("year") == 2001)),
)


def assert_agree(store: Store, oracle: BruteForce, seed: int = 0) -> None:
    """Whatever is asked, a store answers as brute force does."""
    assert len(store) == len(oracle.items)
    assert [record.id for record in store.select()] == list(oracle.items)
    for selection in SELECTIONS:
        assert [record.id for record in store.select(selection)] == oracle.select(selection)
        for match in ("any", *VECTOR_KINDS):
            for k in (1, 3, 50):
                vector = query(seed)
                hits = store.search(vector[None], k, selection, match)[0]  # type: ignore[arg-type]
                expected = oracle.search(vector, k, selection, match)  # type: ignore[arg-type]
                assert [hit.record.id for hit in hits] == [found[0] for found in expected]
                assert [hit.matched for hit in hits] == [found[2] for found in expected]
                assert [hit.score for hit in hits] == pytest.approx(
                    [found[1] for found in expected], abs=1e-6
                )
        first = store.search(query(seed)[None], 3, selection)[0]
        pages = [hit for page in store.search_pages(query(seed), 3, selection) for hit in page]
        assert pages[:3] == first
        every = oracle.search(query(seed), len(oracle.items), selection, "any")
        assert [hit.record.id for hit in pages] == [found[0] for found in every]
