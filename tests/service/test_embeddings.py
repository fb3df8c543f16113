"""Embeddings and reranking, as the clients of others ask for them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import openai
import pytest
from fastapi.testclient import TestClient

from tests.support.length_reranker import LengthReranker
from tests.support.pictures import encoded, solid
from unisem import SemanticSpace, load_encoder
from unisem.service.http.app import create_app

TEXTS = ["a tiger", "日本語のテキスト", "x" * 3000, "a"]
RED = encoded(solid("red"))
URI = f"data:image/png;base64,{base64.b64encode(RED).decode()}"


@pytest.fixture(scope="module")
def mini() -> Iterator[TestClient]:
    """The service of a space of `mini`."""
    with SemanticSpace.open(None) as space, TestClient(create_app({"empty": space})) as client:
        yield client


@pytest.fixture
def by_openai(mini: TestClient) -> openai.OpenAI:
    """OpenAI's own client."""
    return openai.OpenAI(api_key="none", base_url="http://testserver/v1", http_client=mini)


def numbers(embedding: Any) -> np.ndarray:
    """What the client gives: numbers, or the text that was asked for by name."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding), "<f4")
    return np.array(embedding, np.float32)


def vectors(answer: Any) -> np.ndarray:
    return np.array([item["embedding"] for item in answer.json()["data"]], np.float32)


@pytest.mark.parametrize("form", ["float", "base64", openai.omit])
def test_openais_client(by_openai: openai.OpenAI, form: Any) -> None:
    answer = by_openai.embeddings.create(model="mini", input=TEXTS, encoding_format=form)
    rows = np.array([numbers(item.embedding) for item in answer.data], np.float32)
    assert np.array_equal(rows, load_encoder("mini").encode_texts(TEXTS))
    assert [item.index for item in answer.data] == [0, 1, 2, 3]
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 4
    one = by_openai.embeddings.create(model="mini", input=TEXTS[0], encoding_format=form)
    assert np.array_equal(numbers(one.data[0].embedding), rows[0])


def test_openais_client_is_told_what_is_wrong(by_openai: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="not cut") as caught:
        by_openai.embeddings.create(model="mini", input="a", dimensions=7)
    assert caught.value.param == "dimensions"
    with pytest.raises(openai.BadRequestError, match="tokens"):
        by_openai.embeddings.create(model="mini", input=[[1, 2], [3]])
    with pytest.raises(openai.BadRequestError, match="tokens"):
        by_openai.embeddings.create(model="mini", input=[1, 2])
    with pytest.raises(openai.BadRequestError, match="empty"):
        by_openai.embeddings.create(model="mini", input=[])
    with pytest.raises(openai.NotFoundError, match="mini") as missing:
        by_openai.embeddings.create(model="text-embedding-ada-002", input="a")
    assert missing.value.code == "model_not_found"
    assert [model.id for model in by_openai.models.list()] == ["mini", "mini-clip"]
    fits = by_openai.embeddings.create(model="mini", input="a", dimensions=384)
    assert len(fits.data[0].embedding) == 384


def test_of_two_encoders_of_one_name_the_dimension_chooses() -> None:
    """And nothing is guessed without it."""
    with (
        SemanticSpace.open(None) as whole,
        SemanticSpace.open(None, encoder=load_encoder("mini", dimension=64)) as cut,
        TestClient(create_app({"whole": whole, "cut": cut})) as client,
    ):
        body = {"model": "mini", "input": "a"}
        refused = client.post("/v1/embeddings", json=body)
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "model"
        assert "(plain; dimension=64)" in refused.text
        for size in (64, 384):
            answer = client.post("/v1/embeddings", json=body | {"dimensions": size})
            assert vectors(answer).shape == (1, size)


def test_langchain_and_llama_index(mini: TestClient) -> None:
    from langchain_openai import OpenAIEmbeddings
    from llama_index.embeddings.openai import OpenAIEmbedding

    there = {"api_key": "none", "http_client": mini}
    lang = OpenAIEmbeddings(
        model="mini", base_url="http://testserver/v1", check_embedding_ctx_length=False, **there
    )
    llama = OpenAIEmbedding(
        model_name="mini", api_base="http://testserver/v1", embed_batch_size=3, **there
    )
    wanted = load_encoder("mini").encode_texts(TEXTS)
    assert np.array_equal(np.array(lang.embed_documents(TEXTS), np.float32), wanted)
    listed = llama.get_text_embedding_batch(TEXTS)
    assert np.array_equal(np.array(listed, np.float32), wanted)


def test_jinas_dialect(mini: TestClient) -> None:
    """The body is what LangChain4j's Jina client writes."""
    body = {
        "model": "mini-clip",
        "task": "retrieval.passage",
        "late_chunking": False,
        "input": [{"text": "a tiger"}, {"image": URI}, {"text": "a"}],
    }
    answer = mini.post("/v1/embeddings", json=body)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"object", "data", "model", "usage"}
    assert set(answer.json()["data"][0]) == {"object", "index", "embedding"}
    assert set(answer.json()["usage"]) == {"prompt_tokens", "total_tokens"}
    encoder = load_encoder("mini")
    texts, (picture,) = encoder.encode_texts(["a tiger", "a"]), encoder.encode_images([RED])
    assert np.array_equal(vectors(answer), np.stack([texts[0], picture, texts[1]]))
    bare = {"input": [{"image": base64.b64encode(RED).decode()}], "embedding_type": "base64"}
    text = mini.post("/v1/embeddings", json=bare).json()["data"][0]["embedding"]
    assert np.array_equal(np.frombuffer(base64.b64decode(text), "<f4"), picture)
    binary = mini.post("/v1/embeddings", json=bare | {"embedding_type": "ubinary"})
    assert binary.json()["error"]["param"] == "embedding_type"


def test_the_role_of_a_text_is_its_task(card_space: SemanticSpace) -> None:
    roles: list[str] = []

    class Noting(type(card_space.encoder)):  # type: ignore[misc]
        def encode_texts(self, texts: Any, role: str = "document", **options: Any) -> Any:
            roles.append(role)
            return super().encode_texts(texts, role, **options)

    with SemanticSpace.open(None, encoder=Noting()) as space:
        client = TestClient(create_app({"s": space}))
        for task in ("retrieval.query", "retrieval.passage", "query", "passage", None):
            body = {"input": ["a"], "task": task}
            assert client.post("/v1/embeddings", json=body).status_code == 200
    assert roles == ["query", "document", "query", "document", "document"]


@pytest.mark.parametrize(
    "image", ["https://example.com/a.png", "/etc/passwd", "file:///etc/passwd", "QUJD", ""]
)
def test_no_picture_is_fetched(mini: TestClient, image: str) -> None:
    answer = mini.post("/v1/embeddings", json={"input": [{"image": image}]})
    assert answer.status_code == 400
    assert "data URI" in answer.json()["error"]["message"]


def test_reranking(card_space: SemanticSpace) -> None:
    client = TestClient(create_app({"cards": card_space}, rerankers={"length": LengthReranker()}))
    documents = ["long document", "short", {"text": "a"}]
    for path in ("/rerank", "/v1/rerank"):
        answer = client.post(path, json={"query": "q", "documents": documents, "model": "length"})
        body = answer.json()
        assert [it["index"] for it in body["results"]] == [2, 1, 0]
        assert [it["relevance_score"] for it in body["results"]] == [-1.0, -5.0, -13.0]
        assert body["usage"]["total_tokens"] == 5
    options = {"query": "q", "documents": documents, "top_n": 1, "return_documents": True}
    top = client.post("/rerank", json=options).json()["results"]
    assert top == [{"index": 2, "relevance_score": -1.0, "document": {"text": "a"}}]


def test_reranking_without_a_reranker(client: TestClient) -> None:
    answer = client.post("/v1/rerank", json={"query": "q", "documents": ["a"]})
    assert answer.status_code == 400
    assert "--reranker" in answer.json()["error"]["message"]
