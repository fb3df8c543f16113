"""Clients of OpenAI's API, unmodified, against the service."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import openai
import pytest
from langchain_openai import OpenAIEmbeddings
from llama_index.embeddings.openai import OpenAIEmbedding

from tests.clients.live import serving
from unisem import Encoder, SemanticSpace, load_encoder
from unisem.service.http.app import create_app

TEXTS = ["a red car", "有弦的乐器 🎻", "ein rotes Auto"]


@pytest.fixture(scope="module")
def mini() -> Encoder:
    return load_encoder("mini")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, mini: Encoder) -> Iterator[str]:
    """The base URL of a service of an empty space of `mini`."""
    folder = tmp_path_factory.mktemp("service")
    with (
        SemanticSpace.open(folder / "photos.unisem", encoder=mini) as space,
        serving(create_app({"photos": space})) as url,
    ):
        yield f"{url}/v1"


@pytest.fixture(scope="module")
def client(service: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=service, api_key="none", max_retries=0)


def test_openai_asks_for_base64_by_itself(client: openai.OpenAI, mini: Encoder) -> None:
    answer = client.embeddings.create(model="mini", input=TEXTS)
    assert np.array_equal([row.embedding for row in answer.data], mini.encode_texts(TEXTS))
    assert [row.index for row in answer.data] == [0, 1, 2]
    assert answer.model == "mini"
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0


@pytest.mark.parametrize("form", ["float", "base64"])
def test_openai_asks_for_one_text(client: openai.OpenAI, mini: Encoder, form: str) -> None:
    answer = client.embeddings.create(model="mini", input=TEXTS[0], encoding_format=form)  # type: ignore[arg-type]
    assert isinstance(answer.data[0].embedding, str if form == "base64" else list)
    if form == "float":
        expected = mini.encode_texts(TEXTS[:1])[0]
        assert np.array_equal(np.array(answer.data[0].embedding, np.float32), expected)


async def test_openai_asks_without_blocking(service: str, mini: Encoder) -> None:
    async with openai.AsyncOpenAI(base_url=service, api_key="none") as client:
        answer = await client.embeddings.create(model="mini", input=TEXTS)
    assert np.array_equal([row.embedding for row in answer.data], mini.encode_texts(TEXTS))


def test_openai_lists_the_models(client: openai.OpenAI) -> None:
    assert "mini" in [model.id for model in client.models.list()]


def test_openai_understands_what_is_wrong(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError, match="mini") as caught:
        client.embeddings.create(model="text-embedding-3-small", input="a")
    assert caught.value.status_code in (400, 404)
    assert caught.value.param == "model"
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model="mini", input="a", dimensions=64)
    assert refused.value.param == "dimensions"


def test_tokens_are_refused_with_the_setting_that_helps(client: openai.OpenAI) -> None:
    for tokens in ([[1, 2], [3]], [1, 2, 3]):
        with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
            client.embeddings.create(model="mini", input=tokens)


async def test_langchain_openai(service: str, mini: Encoder) -> None:
    embeddings = OpenAIEmbeddings(
        model="mini", base_url=service, api_key="none", check_embedding_ctx_length=False
    )
    expected = mini.encode_texts(TEXTS)
    assert np.array_equal(embeddings.embed_documents(TEXTS), expected)
    assert np.array_equal(embeddings.embed_query(TEXTS[1]), expected[1])
    assert np.array_equal(await embeddings.aembed_documents(TEXTS), expected)


async def test_llama_index_openai(service: str, mini: Encoder) -> None:
    embedding = OpenAIEmbedding(model_name="mini", api_base=service, api_key="none")
    expected = mini.encode_texts(TEXTS)
    assert np.array_equal(embedding.get_text_embedding_batch(TEXTS), expected)
    assert np.array_equal(embedding.get_query_embedding(TEXTS[1]), expected[1])
    assert np.array_equal(await embedding.aget_text_embedding(TEXTS[2]), expected[2])
