"""A space with everything that a record can have, and ways to compare spaces exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.pictures import encoded, noise, solid
from unisem import Record, SemanticSpace
from unisem.records import EmbeddedRecord


@pytest.fixture
def rich(space: SemanticSpace, tmp_path: Path) -> SemanticSpace:
    """Texts, pictures from files and from bytes, odd characters, several vectors of one record."""
    photos = tmp_path / "photos"
    photos.mkdir()
    solid("red").save(photos / "red.png")
    noise(1).save(photos / "noise.jpg")
    space.add(
        [
            Record(id="z last in the alphabet", text="line\nbreaks\u2028 and 漢字 \x00 🐅"),
            Record(id="red", image=photos / "red.png", text="a red card", source_id="photos"),
            Record(id="bytes", image=encoded(solid("blue")), metadata={"year": 2024}),
            Record(id="silent", image=photos / "noise.jpg"),
            Record(
                id="ä/'1\"",
                text="",
                metadata={"": [1, 2.5, None, {"b": True}], "big": 2**70, "tiny": 5e-324},
                links={"next": "red"},
                payload={"node": {"x": ["é"]}},
            ),
        ]
    )
    rows = np.random.default_rng(0).standard_normal((3, 48)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    space.store.add([EmbeddedRecord(Record(id="many", text="x"), {"text": rows})])
    return space


def contents(space: SemanticSpace) -> list[tuple[Any, ...]]:
    """All of a space that must survive, in order; of pictures their bytes."""
    return [
        (
            item.record.id,
            item.record.text,
            item.record.metadata,
            item.record.links,
            item.record.source_id,
            item.record.payload,
            None if item.record.image is None else item.record.image.read_bytes(),
            None if item.record.image is None else item.record.image.sha256,
            {name: (rows.shape, rows.tobytes()) for name, rows in item.vectors.items()},
        )
        for item in space.store.embedded()
    ]
