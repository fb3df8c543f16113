"""`observed`: tell LlamaIndex's observers about an embedding call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent

_dispatcher = get_dispatcher(__name__)


@contextmanager
def observed(model: BaseEmbedding, names: list[str]) -> Iterator[list[Embedding]]:
    """Send the start and the end event of one call, in the new and in the older way.

    Args:
        model: Who embeds.
        names: What is embedded, one name for each input; never its bytes.

    Yields:
        A list, to which the block adds the embeddings.
    """
    payload = model.to_payload()
    embeddings: list[Embedding] = []
    _dispatcher.event(EmbeddingStartEvent(model_dict=payload))
    with model.callback_manager.event(
        CBEventType.EMBEDDING, payload={EventPayload.SERIALIZED: payload}
    ) as event:
        yield embeddings
        event.on_end(payload={EventPayload.CHUNKS: names, EventPayload.EMBEDDINGS: embeddings})
    _dispatcher.event(EmbeddingEndEvent(chunks=names, embeddings=embeddings))
