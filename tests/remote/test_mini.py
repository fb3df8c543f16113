"""`mini` behind a service gives what it gives here, to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.clients.live import serving
from tests.remote.test_space import told, vectors_of
from unisem import Query, Record, SemanticSpace
from unisem.service.http.app import create_app

GALLERY = Path(__file__).parents[2] / "examples" / "gallery" / "images"
TEXTS = ("a cyclist", "ein Fahrrad", "", "recycling", "word " * 300, "漢字 🐅")


@pytest.mark.slow
def test_vectors_and_hits_are_equal_to_the_bit(tmp_path: Path) -> None:
    pictures = sorted(GALLERY.glob("*.png"))[:40] + sorted(GALLERY.glob("*.jpg"))[:10]
    assert len(pictures) >= 20
    records = [Record(id=path.name, image=path, text=path.stem) for path in pictures[::2]]
    records += [Record(id=path.name, image=path) for path in pictures[1::2]]
    records += [Record(id=f"t{n}", text=text) for n, text in enumerate(TEXTS) if text]
    with (
        SemanticSpace.open(tmp_path / "here.unisem", image_roots=[GALLERY]) as here,
        SemanticSpace.open(tmp_path / "there.unisem") as there,
        serving(create_app({"there": there})) as url,
        SemanticSpace.connect(url, image_roots=[GALLERY]) as far,
    ):
        assert far.add(records) == here.add(records)
        assert vectors_of(far) == vectors_of(there) == vectors_of(here)
        for role in ("query", "document"):
            ours, theirs = (space.encoder.encode_texts(list(TEXTS), role) for space in (here, far))
            assert ours.tobytes() == theirs.tobytes()
        ours, theirs = (space.encoder.encode_images(pictures) for space in (here, far))
        assert ours.tobytes() == theirs.tobytes()
        queries = [Query(text=text, k=20) for text in TEXTS if text]
        queries += [Query(image=path, k=20) for path in pictures[:10]]
        queries += [
            Query(text="at night", image=pictures[3], text_weight=0.3, k=20),
            Query(text="a bicycle", mode="hybrid", k=20),
            Query(text="recycling", mode="keyword"),
            Query(text="a sign", diversity=0.4, k=5),
            Query(vector=np.arange(1, here.encoder.dimension + 1), k=5),
        ]
        for query in queries:
            assert told(far.search_query(query)) == told(here.search_query(query)), query
        assert list(map(told, far.search_many(queries))) == [
            told(here.search_query(query)) for query in queries
        ]
