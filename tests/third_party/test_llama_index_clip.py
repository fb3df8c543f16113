"""Defects of LlamaIndex's CLIP embedding that ours lacks, with real models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.schema import ImageNode, TextNode

from llama_index_unisem import UniSemEmbedding
from tests.support.checkpoints import save_clip, save_two_towers
from tests.support.pictures import noise, solid
from tests.support.toy import ToyEncoder


@pytest.fixture(scope="module", params=[save_clip, save_two_towers], ids=["clip", "bert+vit"])
def embedding(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> UniSemEmbedding:
    """A checkpoint in a directory: only OpenAI's format loads there (LlamaIndex #17147, #15519)."""
    folder = request.param(tmp_path_factory.mktemp("checkpoint"))
    return UniSemEmbedding(str(folder), device="cpu", embed_batch_size=4)


def test_a_text_of_more_than_77_tokens_does_not_crash(embedding: UniSemEmbedding) -> None:
    """``clip.tokenize`` raises (LlamaIndex #16937); here the end is not read."""
    long = "a red tiger in the snow " * 60
    vector = embedding.get_text_embedding(long)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(embedding.get_text_embedding(long + "and a teapot"), vector)
    np.testing.assert_allclose(
        embedding.get_text_embedding_batch([long, "a tiger"])[0], vector, atol=1e-5
    )


def test_vectors_of_texts_and_pictures_are_normalised(embedding: UniSemEmbedding) -> None:
    rows = [
        embedding.get_text_embedding("a tiger"),
        embedding.get_query_embedding("a tiger"),
        embedding.get_agg_embedding_from_queries(["a tiger", "a teapot"]),
        *embedding.get_text_embedding_batch(["a tiger", "snow"]),
        embedding.get_image_embedding(solid("red")),
        *embedding.get_image_embedding_batch([solid("red"), noise(1)]),
    ]
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert {type(value) for row in rows for value in row} == {float}


@pytest.fixture
def gradients() -> Iterator[list[bool]]:
    """Whether autograd was on, for each module that ran."""
    import torch
    from torch.nn.modules.module import register_module_forward_hook

    seen: list[bool] = []
    handle = register_module_forward_hook(lambda *_: seen.append(torch.is_grad_enabled()))
    yield seen
    handle.remove()


def test_no_gradients_are_kept(embedding: UniSemEmbedding, gradients: list[bool]) -> None:
    """A text's graph is kept, as there is no ``no_grad``."""
    embedding.get_text_embedding("a tiger")
    embedding.get_image_embedding(solid("red"))
    assert gradients
    assert not any(gradients)


def test_many_are_as_one_by_one(embedding: UniSemEmbedding) -> None:
    texts = [f"a {word} tiger" for word in ("red", "white", "big", "striped", "old", "young")]
    one_by_one = [embedding.get_text_embedding(text) for text in texts]
    np.testing.assert_allclose(embedding.get_text_embedding_batch(texts), one_by_one, atol=1e-5)
    pictures: Any = [noise(seed) for seed in range(6)]
    single = [embedding.get_image_embedding(picture) for picture in pictures]
    np.testing.assert_allclose(embedding.get_image_embedding_batch(pictures), single, atol=1e-5)


def test_a_pipelines_picture_gets_its_pixels_vector(
    embedding: UniSemEmbedding, tmp_path: Path
) -> None:
    """Picture nodes are embedded as their text, or as an empty one."""
    path = tmp_path / "red.png"
    solid("red").save(path)
    plain, captioned, text = embedding(
        [
            ImageNode(image_path=str(path)),
            ImageNode(image_path=str(path), text="a tiger"),
            TextNode(text="a tiger"),
        ]
    )
    expected = embedding.get_image_embedding(path)
    np.testing.assert_allclose(plain.embedding, expected, atol=1e-6)
    np.testing.assert_allclose(captioned.embedding, expected, atol=1e-6)
    assert isinstance(captioned, ImageNode)
    np.testing.assert_allclose(captioned.text_embedding, text.embedding, atol=1e-6)


def test_texts_go_through_the_model_in_batches() -> None:
    """One text at a time."""

    class Counting(ToyEncoder):
        calls: list[int]

        def encode_texts(self, texts: Any, *args: Any, **options: Any) -> Any:
            self.calls.append(len(texts))
            return super().encode_texts(texts, *args, **options)

    encoder = Counting()
    encoder.calls = []
    UniSemEmbedding(encoder=encoder, embed_batch_size=4).get_text_embedding_batch(list("abcdef"))
    assert encoder.calls == [4, 2]
