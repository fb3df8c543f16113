"""The traps of LlamaIndex's embedding interface, one test each: caches, events, serialisation."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload, LlamaDebugHandler
from llama_index.core.rate_limiter import BaseRateLimiter
from llama_index.core.storage.kvstore import SimpleKVStore

from llama_index_unisem import UniSemEmbedding
from tests.llama_index_unisem.conftest import AsymmetricToy
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem.errors import EncoderError, EncoderMismatchError


async def test_embeddings_cache_keeps_queries_and_documents_apart() -> None:
    encoder = AsymmetricToy()
    embedding = UniSemEmbedding(encoder=encoder, embeddings_cache=SimpleKVStore())
    for _ in range(2):  # the second time from the cache
        document = embedding.get_text_embedding("red")
        query = embedding.get_query_embedding("red")
        np.testing.assert_array_equal(document, encoder.encode_texts(["red"])[0])
        np.testing.assert_array_equal(query, encoder.encode_texts(["red"], role="query")[0])
        assert await embedding.aget_query_embedding("red") == query
        assert await embedding.aget_text_embedding("red") == document
        assert await embedding.aget_text_embedding_batch(["red"]) == [document]
    counted = encoder.texts_encoded
    embedding.get_text_embedding_batch(["red"])
    embedding.get_query_embedding("red")
    assert encoder.texts_encoded == counted


def test_embeddings_cache_keeps_models_apart() -> None:
    store = SimpleKVStore()
    found = [
        UniSemEmbedding(encoder=encoder, embeddings_cache=store).get_text_embedding("red")
        for encoder in (ToyEncoder(seed=0), ToyEncoder(seed=1), ToyEncoder(seed=0))
    ]
    assert found[0] == found[2] != found[1]


async def test_image_calls_emit_start_and_end_events_without_bytes(
    encoder: ToyEncoder, events: Any, cards: Path
) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    embedding = UniSemEmbedding(encoder=encoder, callback_manager=CallbackManager([debug]))
    data = encoded(solid("red"))
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    path = str(cards / "blue.png")
    vector = embedding.get_image_embedding(path)
    for call in (
        lambda: embedding.get_image_embedding_batch([path, BytesIO(data)]),
        lambda: embedding.aget_image_embedding_batch([path, BytesIO(data)]),
    ):
        result = call()
        if not isinstance(result, list):
            await result
    await embedding.aget_image_embedding(data)

    started = events.named("EmbeddingStartEvent")
    ended = events.named("EmbeddingEndEvent")
    assert [event.chunks for event in ended] == [[path], [path, digest], [path, digest], [digest]]
    assert ended[0].embeddings == [vector]
    assert [event.model_dict for event in started] == [embedding.to_payload()] * 4
    legacy = [end.payload for _, end in debug.get_event_pairs(CBEventType.EMBEDDING)]
    assert [payload[EventPayload.CHUNKS] for payload in legacy] == [e.chunks for e in ended]
    assert legacy[0][EventPayload.EMBEDDINGS] == [vector]


def test_a_failing_picture_ends_its_legacy_event(encoder: ToyEncoder) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    embedding = UniSemEmbedding(encoder=encoder, callback_manager=CallbackManager([debug]))
    with pytest.raises(ValueError, match="does not exist"):
        embedding.get_image_embedding("no.png")
    assert len(debug.get_event_pairs(CBEventType.EMBEDDING)) == 1


def test_a_query_is_one_span(encoder: ToyEncoder) -> None:
    from llama_index.core.instrumentation import get_dispatcher
    from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler

    handler = SimpleSpanHandler()
    get_dispatcher().add_span_handler(handler)
    try:
        UniSemEmbedding(encoder=encoder).get_query_embedding("red")
    finally:
        get_dispatcher().span_handlers.remove(handler)
    spans = [span.id_.split("-")[0] for span in handler.completed_spans]
    assert spans.count("UniSemEmbedding.get_query_embedding") == 1


async def test_the_rate_limiter_counts_pictures_too(encoder: ToyEncoder, cards: Path) -> None:
    class Counting(BaseRateLimiter):
        count = 0

        def acquire(self, num_tokens: int = 0) -> None:
            self.count += 1

        async def async_acquire(self, num_tokens: int = 0) -> None:
            self.count += 1

    limiter = Counting()
    embedding = UniSemEmbedding(encoder=encoder, rate_limiter=limiter, embed_batch_size=1)
    embedding.get_image_embedding_batch([cards / "red.png", cards / "blue.png"])
    await embedding.aget_image_embedding(cards / "red.png")
    assert limiter.count == 3


def test_to_dict_shows_the_fingerprint_and_from_dict_checks_it(encoder: ToyEncoder) -> None:
    embedding = UniSemEmbedding(encoder=encoder, embed_batch_size=5, num_workers=2)
    data = embedding.to_dict()
    assert data["class_name"] == "UniSemEmbedding"
    assert data["fingerprint"] == encoder.fingerprint
    assert json.loads(embedding.to_json()) == data
    assert UniSemEmbedding(encoder=ToyEncoder(seed=1)).to_dict() != data

    rebuilt = UniSemEmbedding.from_dict(data, encoder=ToyEncoder())
    assert rebuilt.to_dict() == data
    assert rebuilt.get_text_embedding("red") == embedding.get_text_embedding("red")
    with pytest.raises(EncoderError, match="no encoder 'toy-0'"):
        UniSemEmbedding.from_dict(data)
    with pytest.raises(EncoderMismatchError, match="was saved; their vectors cannot be compared"):
        UniSemEmbedding.from_dict(data | {"model_name": None}, encoder=ToyEncoder(dimension=8))


def test_to_payload_has_no_vectors_and_no_secrets(embedding: UniSemEmbedding) -> None:
    assert embedding.to_payload() == {
        "class_name": "UniSemEmbedding",
        "model_name": "toy-0",
        "embed_batch_size": 32,
    }


def test_pickle_and_copies_of_a_given_encoder(embedding: UniSemEmbedding) -> None:
    expected = embedding.get_text_embedding("red")
    for copied in (
        pickle.loads(pickle.dumps(embedding)),
        copy.copy(embedding),
        embedding.model_copy(),
    ):
        assert copied.get_text_embedding("red") == expected
        assert copied.to_dict() == embedding.to_dict()
    deep = copy.deepcopy(embedding)
    assert deep.encoder is embedding.encoder
    assert deep.get_text_embedding("red") == expected
