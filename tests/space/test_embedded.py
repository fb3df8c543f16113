"""Records that bring their own vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.pictures import solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import ImageError, StoreError
from unisem.ingest.looking import remember_looks
from unisem.records import EmbeddedRecord


def test_what_was_embedded_elsewhere_is_stored_as_if_added(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    solid("red").save(picture)
    records = [Record(id="a", text="a tiger", image=picture), Record(id="b", text="a teapot")]
    with (
        SemanticSpace.open(tmp_path / "one.unisem", encoder=ToyEncoder()) as one,
        SemanticSpace.open(tmp_path / "two.unisem", encoder=ToyEncoder()) as two,
    ):
        one.add(records)
        vectors = [item.vectors for item in one.embed(records)]
        pairs = zip(records, vectors, strict=True)
        assert two.add_embedded(EmbeddedRecord(r, v) for r, v in pairs) == ["a", "b"]
        assert remember_looks(two.store) == 1  # which only who has the picture can tell
        assert two.get(["a", "b"]) == one.get(["a", "b"])
        assert two.search(text="a tiger") == one.search(text="a tiger")


def test_nothing_is_stored_if_one_picture_or_vector_is_bad(tmp_path: Path) -> None:
    vector = np.zeros(ToyEncoder().dimension, np.float32)
    vector[0] = 1
    good = EmbeddedRecord(Record(id="a", text="a tiger"), {"text": vector})
    missing = Record(id="b", image=tmp_path / "missing.png")
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        with pytest.raises(ImageError, match=r"missing\.png"):
            space.add_embedded([good, EmbeddedRecord(missing, {"image": vector})])
        with pytest.raises(StoreError, match="dimension"):
            space.add_embedded(
                [good, EmbeddedRecord(Record(id="c", text="c"), {"text": vector[:3]})]
            )
        assert len(space) == 0
