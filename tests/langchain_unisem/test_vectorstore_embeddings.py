"""`EmbeddingsEncoder` and the identity of embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from pydantic import BaseModel, SecretStr

from langchain_unisem import EmbeddingsEncoder, UniSemVectorStore
from langchain_unisem.vectorstores.encoder import fingerprint_of, name_of
from tests.support.pictures import encoded, solid
from tests.support.text_embeddings import FixedEmbeddings, PictureEmbeddings, WordEmbeddings
from unisem.errors import EncoderError, ImageError


class Hosted(BaseModel, Embeddings):
    """Shaped like langchain-openai's."""

    model: str = "small"
    dimensions: int | None = None
    openai_api_key: SecretStr | None = None
    hf_token: str = ""
    base_url: str | None = None
    request_timeout: float = 1
    max_retries: int = 2
    chunk_size: int = 1000
    max_tokens: int = 512
    encode_kwargs: dict[str, Any] = {}

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[1.0]] * len(texts)

    def embed_query(self, text: str) -> list[float]:
        return [1.0]


class Cached(Embeddings):
    def __init__(self, underlying: Embeddings) -> None:
        self.underlying = underlying
        self._hits = 0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.underlying.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        return self.underlying.embed_query(text)


SAME: list[dict[str, Any]] = [
    {},
    {"openai_api_key": SecretStr("x")},
    {"hf_token": "x"},
    {"base_url": "http://elsewhere"},
    {"request_timeout": 9.0, "max_retries": 9, "chunk_size": 9},
    {"encode_kwargs": {"device": "cuda"}},
]
OTHER: list[dict[str, Any]] = [
    {"model": "large"},
    {"dimensions": 256},
    {"max_tokens": 128},
    {"encode_kwargs": {"normalize": True}},
]


def test_fingerprint() -> None:
    base = fingerprint_of(Hosted())
    assert len(base) == 64
    assert {fingerprint_of(Hosted(**settings)) for settings in SAME} == {base}
    others = {fingerprint_of(Hosted(**settings)) for settings in OTHER}
    assert len(others | {base}) == len(OTHER) + 1
    assert fingerprint_of(WordEmbeddings(3)) != fingerprint_of(WordEmbeddings(4))
    assert fingerprint_of(WordEmbeddings()) != fingerprint_of(PictureEmbeddings())
    sizes = [fingerprint_of(DeterministicFakeEmbedding(size=size)) for size in (6, 6, 7)]
    assert sizes[0] == sizes[1] != sizes[2]
    wrapped = [fingerprint_of(Cached(Hosted(model=model))) for model in ("a", "a", "b")]
    assert wrapped[0] == wrapped[1] != wrapped[2]
    assert EmbeddingsEncoder(Hosted(), "mine").fingerprint == "mine"


def test_what_an_encoder_is_asked_does_not_change_its_fingerprint() -> None:
    embeddings = WordEmbeddings()
    encoder = EmbeddingsEncoder(embeddings)
    encoder.encode_texts(["red"])
    assert encoder.fingerprint == fingerprint_of(embeddings)


def test_name() -> None:
    assert name_of(Hosted(model="large")) == "Hosted(large)"
    assert name_of(WordEmbeddings()) == "WordEmbeddings"


def test_dimension_is_learnt() -> None:
    assert EmbeddingsEncoder(WordEmbeddings(7)).dimension == 7
    encoder = EmbeddingsEncoder(WordEmbeddings(7))
    assert encoder.encode_texts([]).shape == (0, 0)
    assert encoder.encode_texts(["red"], role="query").shape == (1, 7)
    assert encoder.encode_texts([]).shape == (0, 7)


def test_rows_are_unit_vectors() -> None:
    huge = FixedEmbeddings({"a": [3e100, 4e100], "b": [3e-30, 4e-30]})
    rows = EmbeddingsEncoder(huge).encode_texts(["a", "b"])
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.6, 0.8]] * 2, rtol=1e-6)


def test_pictures_by_path() -> None:
    embeddings = PictureEmbeddings()
    encoder = EmbeddingsEncoder(embeddings)
    done: list[int] = []
    rows = encoder.encode_images([solid("red"), encoded(solid("blue"))], progress=done.append)
    words = encoder.encode_texts(["red", "blue"], role="query")
    np.testing.assert_allclose(rows, words, rtol=1e-6)
    assert done == [2]
    assert encoder.encode_images([]).shape == (0, 24)
    with pytest.raises(ImageError, match="<8 bytes>"):
        encoder.encode_images([b"nonsense"])


class Nested(PictureEmbeddings):
    def embed_image(self, uris: list[str]) -> list[list[float]]:
        return [[[1.0, 2.0]] for _ in uris]  # type: ignore[misc]


class TooFew(WordEmbeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return super().embed_documents(texts)[1:]


def test_answers_of_the_wrong_shape() -> None:
    with pytest.raises(EncoderError, match=r"Nested returned an array of shape \(1, 1, 2\) for 1"):
        EmbeddingsEncoder(Nested()).encode_images([solid("red")])
    with pytest.raises(EncoderError, match=r"TooFew returned an array of shape \(1, 24\) for 2"):
        EmbeddingsEncoder(TooFew()).encode_texts(["a", "b"])


def test_how_many_texts_go_at_once_is_the_embeddings_own_setting() -> None:
    """A call over the network for every few texts would take minutes where seconds will do."""
    calls: list[int] = []

    class Counting(PictureEmbeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            calls.append(len(texts))
            return super().embed_documents(texts)

    store = UniSemVectorStore(embedding=Counting())
    names = store.add_texts([f"red {n}" for n in range(200)])
    store.add_documents([Document(f"blue {n}") for n in range(200)])
    assert calls == [200, 200]
    assert [d.page_content for d in store.get_by_ids(names)] == [f"red {n}" for n in range(200)]
    assert [d.page_content for d in store.similarity_search("blue 7", k=1)] == ["blue 7"]
    store.add_images([solid("red")], captions=["a caption"])
    assert calls == [200, 200, 1]
