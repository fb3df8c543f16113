"""BLIP's matching from a tiny checkpoint, against transformers' own forward pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.matching_checkpoints import save_blip
from tests.support.networks import without_weights
from tests.support.pictures import encoded, noise
from unisem import ImageRef, Record, load_encoder
from unisem.errors import EncoderError, RerankerError
from unisem.rerank import BlipReranker, load_reranker

PICTURES = [noise(n, (30 + 9 * n, 40)) for n in range(5)]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_blip(tmp_path_factory.mktemp("blip"))


def loaded(directory: Path, **settings: Any) -> BlipReranker:
    reranker = load_reranker(directory, **settings)
    assert isinstance(reranker, BlipReranker)
    return reranker


def expected(directory: Path, pairs: list[tuple[str, Image.Image]]) -> list[float]:
    import torch
    from transformers import BlipForImageTextRetrieval, BlipProcessor

    model = BlipForImageTextRetrieval.from_pretrained(directory).eval()
    processor = BlipProcessor.from_pretrained(directory)
    found = []
    for text, picture in pairs:
        inputs = processor(images=picture, text=text, return_tensors="pt")
        with torch.no_grad():
            found.append(float(model(**inputs).itm_score.softmax(dim=1)[0, 1]))
    assert np.ptp(found) > 1e-3
    return found


@pytest.mark.parametrize("size", [2, 16])
def test_a_text_beside_pictures(directory: Path, size: int) -> None:
    records = [Record(id=str(n), image=picture) for n, picture in enumerate(PICTURES)]
    wanted = expected(directory, [("a red car", picture) for picture in PICTURES])
    scores = loaded(directory, batch_size=size).score("a red car", None, records)
    np.testing.assert_allclose(scores, wanted, atol=1e-4)


def test_a_picture_beside_texts(directory: Path) -> None:
    texts = ["a red car", "snow", "the dog in the snow and the cat"]
    records = [Record(id=text, text=text) for text in texts]
    wanted = expected(directory, [(text, PICTURES[0]) for text in texts])
    scores = loaded(directory).score(None, ImageRef.of(PICTURES[0]), records)
    np.testing.assert_allclose(scores, wanted, atol=1e-4)


def test_pictures_are_looked_at_once_in_a_batch(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reranker = loaded(directory, batch_size=3)
    looked: list[int] = []
    vision = reranker.model.auto_model.vision_model
    vision.register_forward_hook(lambda *parts: looked.append(len(parts[-1].last_hidden_state)))
    looked.clear()
    reranker.score("red", None, [Record(image=picture) for picture in PICTURES])
    assert looked == [3, 2]
    looked.clear()
    texts = [Record(id=str(n), text="a red car") for n in range(7)]
    reranker.score(None, ImageRef.of(PICTURES[0]), texts)
    assert looked == [1]


def test_what_lacks_the_other_half_is_not_judged(directory: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone.png"
    gone.write_bytes(encoded(PICTURES[0]))
    records = [
        Record(id="t", text="red"),
        Record(id="gone", image=ImageRef.of(gone), text="red"),
        Record(id="c", image=PICTURES[1], text="red " * 10_000),
    ]
    gone.unlink()
    reranker = loaded(directory)
    assert np.isnan(reranker.score("red", None, records)).tolist() == [True, True, False]
    asked = ImageRef.of(PICTURES[0])
    assert np.isfinite(reranker.score(None, asked, records)).all()
    assert np.isfinite(reranker.score("red " * 10_000, None, records[2:])).all()
    assert reranker.score("red", None, []).shape == (0,)
    with pytest.raises(RerankerError, match="cannot judge a query of both"):
        reranker.score("red", asked, records)


def test_it_is_no_encoder_and_must_be_whole(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"matches a text with a picture.*load_reranker"):
        load_encoder(str(directory))
    broken = save_blip(tmp_path)
    without_weights(broken, "itm_head")
    with pytest.raises(RerankerError, match="is not whole: its files lack"):
        load_reranker(broken).score("a", None, [Record(image=PICTURES[0])])
