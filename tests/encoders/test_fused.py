"""One vector for a text and a picture together, from a model that reads both at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.checkpoints import save_clip
from tests.support.networks import save_prompted_vlm
from tests.support.pictures import encoded, noise
from tests.support.toy import ToyEncoder
from unisem import Encoder, Record, SemanticSpace, load_encoder
from unisem.encoders.base import Role
from unisem.errors import ImageError, ModalityError
from unisem.search import Query

TEXTS = ["a cat", "the dog in the snow and a red car", ""]
PICTURES = [noise(0), noise(1, (40, 90)), noise(2)]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_prompted_vlm(tmp_path_factory.mktemp("vlm"))


@pytest.fixture(scope="module")
def encoder(directory: Path) -> Encoder:
    return load_encoder(str(directory))


@pytest.mark.parametrize(
    ("role", "prompt"), [("query", "photo of"), ("document", "red car in the snow")]
)
def test_a_pair_is_what_transformers_makes_of_prompt_picture_and_text(
    encoder: Encoder, directory: Path, role: Role, prompt: str
) -> None:
    import torch
    from transformers import LlavaForConditionalGeneration, LlavaProcessor

    base = directory.parent / "base"
    model = LlavaForConditionalGeneration.from_pretrained(base).eval()
    processor = LlavaProcessor.from_pretrained(base)
    found = encoder.encode_pairs(TEXTS[:2], PICTURES[:2], role)
    for row, text, picture in zip(found, TEXTS, PICTURES, strict=False):
        inputs = processor(text=f"{prompt} <image> {text}", images=picture, return_tensors="pt")
        with torch.inference_mode():
            last = model.model(**inputs).last_hidden_state[0, -1].numpy()
        np.testing.assert_allclose(row, last / np.linalg.norm(last), atol=1e-4)


def test_a_pair_is_neither_of_its_parts_and_does_not_depend_on_its_batch(encoder: Encoder) -> None:
    assert encoder.fuses
    done: list[int] = []
    together = encoder.encode_pairs(TEXTS, PICTURES, batch_size=2, progress=done.append)
    alone = [
        encoder.encode_pairs([text], [picture])[0]
        for text, picture in zip(TEXTS, PICTURES, strict=True)
    ]
    assert together.shape == (3, encoder.dimension)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    prepared = [encoder.prepare_image(picture) for picture in PICTURES]
    same = encoder.encode_prepared_pairs(TEXTS, prepared)
    np.testing.assert_allclose(same, together, atol=1e-5)
    for parts in (encoder.encode_texts(TEXTS), encoder.encode_images(PICTURES)):
        assert np.abs(together - parts)[:2].max(axis=1).min() > 1e-3  # no text is no more to read
    assert done == [2, 1]
    assert encoder.encode_pairs([], []).shape == (0, encoder.dimension)


def test_the_name_of_the_picture_token_is_text_beside_a_picture(encoder: Encoder) -> None:
    row, plain = encoder.encode_pairs(["a <image> cat", "a cat"], [PICTURES[0]] * 2)
    assert np.abs(row - plain).max() > 1e-3


def test_what_is_no_list_of_pairs_is_refused(encoder: Encoder) -> None:
    with pytest.raises(ValueError, match="2 texts and 1 pictures"):
        encoder.encode_pairs(["a", "b"], PICTURES[:1])
    with pytest.raises(TypeError, match="list of texts"):
        encoder.encode_pairs("a", PICTURES[:1])
    with pytest.raises(ImageError, match="damaged or truncated"):
        encoder.encode_pairs(["a"], [encoded(PICTURES[0])[:900]])


def test_a_model_that_reads_each_apart_says_so(tmp_path: Path) -> None:
    for apart in (load_encoder(str(save_clip(tmp_path))), ToyEncoder(), load_encoder("mini")):
        assert not apart.fuses
        with pytest.raises(ModalityError, match="no vector for a text and a picture together"):
            apart.encode_pairs(["a"], PICTURES[:1])


def test_a_query_of_text_and_picture_is_fused_unless_one_counts_more(
    encoder: Encoder, tmp_path: Path
) -> None:
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        space.add([Record(id=str(n), image=picture) for n, picture in enumerate(PICTURES)])
        asked = [
            Query(text="a cat", image=PICTURES[0]),
            Query(text="a cat", image=PICTURES[0], text_weight=0.7),
            Query(text="a cat"),
            Query(image=PICTURES[1]),
        ]
        fused, weighted, text, image = (space.embed_query(query) for query in asked)
    (expected,) = encoder.encode_pairs(["a cat"], [PICTURES[0]], role="query")
    np.testing.assert_allclose(fused, expected, atol=1e-5)
    np.testing.assert_allclose(text, encoder.encode_texts(["a cat"], role="query")[0], atol=1e-5)
    (first, second) = encoder.encode_images(PICTURES[:2])
    np.testing.assert_allclose(image, second, atol=1e-5)
    mixed = 0.7 * text + 0.3 * first
    np.testing.assert_allclose(weighted, mixed / np.linalg.norm(mixed), atol=1e-5)
