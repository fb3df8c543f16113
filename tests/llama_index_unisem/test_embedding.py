"""`UniSemEmbedding` against the encoder it wraps."""

from __future__ import annotations

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.embeddings import MultiModalEmbedding

from llama_index_unisem import UniSemEmbedding
from tests.llama_index_unisem.conftest import AsymmetricToy
from tests.support.pictures import encoded, noise, solid
from tests.support.toy import ToyEncoder
from unisem import ImageRef
from unisem.errors import EncoderError, ImageError


def rows(found: Any) -> np.ndarray:
    return np.asarray(found, np.float32)


def test_class() -> None:
    assert {MultiModalEmbedding, BaseEmbedding} <= set(UniSemEmbedding.__mro__)
    assert UniSemEmbedding.class_name() == "UniSemEmbedding"


async def test_texts_and_queries_are_the_encoders(encoder: ToyEncoder) -> None:
    encoder = AsymmetricToy()
    embedding = UniSemEmbedding(encoder=encoder)
    texts = ["a red card", "", "héllo\nworld", "a red card"]
    documents = encoder.encode_texts(texts)
    np.testing.assert_array_equal(rows(embedding.get_text_embedding_batch(texts)), documents)
    np.testing.assert_array_equal(rows(await embedding.aget_text_embedding_batch(texts)), documents)
    query = encoder.encode_texts(["red"], role="query")[0]
    assert not np.array_equal(query, encoder.encode_texts(["red"])[0])
    np.testing.assert_array_equal(rows(embedding.get_query_embedding("red")), query)
    np.testing.assert_array_equal(rows(await embedding.aget_query_embedding("red")), query)
    np.testing.assert_array_equal(
        rows(await embedding.aget_text_embedding("red")), encoder.encode_texts(["red"])[0]
    )
    assert type(embedding.get_text_embedding("red")[0]) is float


async def test_every_kind_of_picture(embedding: UniSemEmbedding, tmp_path: Path) -> None:
    picture = noise(1)
    data = encoded(picture)
    path = tmp_path / "noise.png"
    path.write_bytes(data)
    stream = BytesIO(data)
    stream.seek(7)  # the picture is what the stream holds, not what is left of it
    expected = embedding.encoder.encode_images([path])[0]
    for source in [str(path), path, data, stream, picture, ImageRef(path=path)]:
        np.testing.assert_array_equal(rows(embedding.get_image_embedding(source)), expected)
        np.testing.assert_array_equal(rows(await embedding.aget_image_embedding(source)), expected)


async def test_pictures_go_through_the_model_in_batches(cards: Path) -> None:
    class Counting(ToyEncoder):
        calls: list[int]

        def encode_images(self, images: Any, **options: Any) -> Any:
            self.calls.append(len(images))
            return super().encode_images(images, **options)

    encoder = Counting()
    embedding = UniSemEmbedding(encoder=encoder, embed_batch_size=4)
    paths = sorted(map(str, cards.glob("*.png")))
    expected = ToyEncoder().encode_images(paths)
    for found in (
        lambda: asyncio.sleep(0, embedding.get_image_embedding_batch(paths, show_progress=True)),
        lambda: embedding.aget_image_embedding_batch(paths, show_progress=True),
        lambda: asyncio.sleep(0, embedding.get_image_embedding_batch(paths)),
        lambda: embedding.aget_image_embedding_batch(paths),
    ):
        encoder.calls = []
        np.testing.assert_array_equal(rows(await found()), expected)
        assert encoder.calls == [4, 2]
    assert embedding.get_image_embedding_batch([]) == []
    assert await embedding.aget_image_embedding_batch([]) == []


async def test_async_twins_leave_the_event_loop_free(cards: Path) -> None:
    """They finish only if the loop goes on turning while the encoder works."""
    loop_turned = threading.Event()

    class Waiting(ToyEncoder):
        def encode_texts(self, *args: Any, **options: Any) -> Any:
            assert loop_turned.wait(60)
            return super().encode_texts(*args, **options)

        def encode_images(self, *args: Any, **options: Any) -> Any:
            assert loop_turned.wait(60)
            return super().encode_images(*args, **options)

    embedding = UniSemEmbedding(encoder=Waiting())
    for call in (
        lambda: embedding.aget_query_embedding("red"),
        lambda: embedding.aget_text_embedding("red"),
        lambda: embedding.aget_text_embedding_batch(["red", "blue"]),
        lambda: embedding.aget_image_embedding(cards / "red.png"),
        lambda: embedding.aget_image_embedding_batch([cards / "red.png"]),
        lambda: embedding.aget_agg_embedding_from_queries(["red", "blue"]),
    ):
        loop_turned.clear()
        asyncio.get_running_loop().call_later(0.05, loop_turned.set)
        assert await call()


def test_a_text_that_looks_like_a_url_or_a_path_is_text(
    embedding: UniSemEmbedding, cards: Path
) -> None:
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/x.png"
        for text in [
            url,
            str(cards / "red.png"),
            f"file://{cards}/red.png",
            "data:image/png;base64,",
        ]:
            expected = embedding.encoder.encode_texts([text])[0]
            np.testing.assert_array_equal(rows(embedding.get_text_embedding(text)), expected)
            np.testing.assert_array_equal(rows(embedding.get_query_embedding(text)), expected)
        with pytest.raises(ImageError, match="is a URL; UniSem fetches nothing"):
            embedding.get_image_embedding(url)
    finally:
        server.shutdown()
        server.server_close()
    assert requests == []
    assert embedding.encoder.images_encoded == 0  # type: ignore[attr-defined]


def test_get_agg_embedding_from_queries_is_a_unit_vector_and_refuses_an_empty_list(
    embedding: UniSemEmbedding,
) -> None:
    vectors = embedding.encoder.encode_texts(["red", "blue"], role="query")
    mean = vectors.mean(axis=0)
    found = rows(embedding.get_agg_embedding_from_queries(["red", "blue"]))
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=1e-6)
    assert embedding.get_agg_embedding_from_queries(["red"], lambda found: [len(found)]) == [1]
    with pytest.raises(ValueError, match="no query to embed"):
        embedding.get_agg_embedding_from_queries([])


@pytest.mark.parametrize(
    ("call", "error", "reason"),
    [
        (lambda e: e.get_image_embedding("no/such.png"), ImageError, "no/such.png: does not exist"),
        (lambda e: e.get_image_embedding(b"no picture"), ImageError, "is not a picture"),
        (lambda e: e.get_image_embedding(BytesIO()), ImageError, "is empty"),
        (lambda e: e.get_image_embedding(7), ImageError, "int: is no picture"),
        (lambda e: e.get_image_embedding("data:image/png;base64,AA"), ImageError, "is a URL"),
        (lambda e: e.get_image_embedding_batch("a.png"), TypeError, "pass a list of pictures"),
        (lambda e: e.get_image_embedding_batch(BytesIO()), TypeError, "pass a list of pictures"),
        (lambda e: e.get_image_embedding_batch([solid("red"), "no.png"]), ImageError, "no.png"),
    ],
)
def test_bad_pictures_are_named(
    embedding: UniSemEmbedding, call: Any, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        call(embedding)


def test_bad_arguments_are_named(encoder: ToyEncoder) -> None:
    with pytest.raises(EncoderError, match="no encoder 'nothing-of-that-name'"):
        UniSemEmbedding("nothing-of-that-name")
    with pytest.raises(TypeError, match=r"must be a unisem\.Encoder, not str"):
        UniSemEmbedding(encoder="mini")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="differ; give one of them"):
        UniSemEmbedding("mini", encoder=encoder)
    with pytest.raises(ValueError, match="embed_batch_size"):
        UniSemEmbedding(encoder=encoder, embed_batch_size=0)
    with pytest.raises(TypeError, match="BaseKVStore"):
        UniSemEmbedding(encoder=encoder, embeddings_cache={})  # type: ignore[arg-type]
