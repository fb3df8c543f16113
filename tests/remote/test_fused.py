"""Fused vectors over a connection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.clients.live import serving
from tests.support.pictures import encoded, noise, solid
from tests.support.toy import FusingToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import ImageError, ModalityError
from unisem.search import Query
from unisem.service.http.app import create_app


def test_a_space_that_fuses_does_so_from_elsewhere(folder: Path) -> None:
    encoder = FusingToyEncoder()
    with SemanticSpace.open(None, encoder=encoder, image_roots=[folder]) as near:
        app = create_app({"cards": near})
        with serving(app) as url, SemanticSpace.connect(url, image_roots=[folder]) as far:
            assert far.encoder.fuses
            far.add([Record(id="red", text="a red card", image=folder / "red.png")])
            assert set(near.store.vectors(["red"])[0] or {}) == {"text", "image", "both"}
            query = Query(text="a red card", image=folder / "blue.png")
            (hit,) = far.search_query(query)
            assert (hit.record.id, hit.matched) == ("red", near.search_query(query)[0].matched)
            assert far.embed_query(query).tobytes() == near.embed_query(query).tobytes()
            (only,) = far.search("red", match="both")
            assert only.matched == "both"
            texts, pictures = ["red", "blue", "snow"], [solid("red"), solid("blue"), noise(1)]
            for role in ("query", "document"):
                there = far.encoder.encode_pairs(texts, pictures, role)  # type: ignore[arg-type]
                here = encoder.encode_pairs(texts, pictures, role)  # type: ignore[arg-type]
                np.testing.assert_array_equal(there, here)
            with pytest.raises(ValueError, match="1 texts and 3 pictures"):
                far.encoder.encode_pairs(["red"], pictures)
            with pytest.raises(ImageError, match="truncated"):
                far.encoder.encode_pairs(["a", "b"], [solid("red"), encoded(noise(0))[:900]])


def test_one_that_does_not_says_so(far: SemanticSpace) -> None:
    assert not far.encoder.fuses
    with pytest.raises(ModalityError, match="no vector for a text and a picture together"):
        far.encoder.encode_pairs(["a"], [solid("red")])
