"""What LlamaIndex's observers are told, in the new and in the older way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.schema import NodeWithScore
from numpy.typing import NDArray

from llama_index_unisem.nodes import node_of
from unisem.images.reference import ImageRef
from unisem.records import Record
from unisem.rerank import Reranker
from unisem.search.reranking import Reranking

_dispatcher = get_dispatcher(__name__)


@contextmanager
def embedding_events(model: BaseEmbedding, names: list[str]) -> Iterator[list[Embedding]]:
    """Send the start and the end event of one embedding call.

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


@contextmanager
def reranking_events(
    manager: CallbackManager, query: str, nodes: list[NodeWithScore], model: str, top_n: int
) -> Iterator[list[NodeWithScore]]:
    """Send the start and the end event of one reranking.

    Args:
        manager: The callbacks of who reranks.
        query: Its words; the picture of a query is not told.
        nodes: What is judged.
        model: The reranker's name.
        top_n: How many nodes are wanted.

    Yields:
        A list, to which the block adds the judged nodes.
    """
    payload: dict[str, Any] = {
        EventPayload.NODES: nodes,
        EventPayload.MODEL_NAME: model,
        EventPayload.QUERY_STR: query,
        EventPayload.TOP_K: top_n,
    }
    judged: list[NodeWithScore] = []
    _dispatcher.event(ReRankStartEvent(query=query, nodes=nodes, top_n=top_n, model_name=model))
    with manager.event(CBEventType.RERANKING, payload=payload) as event:
        yield judged
        event.on_end(payload={EventPayload.NODES: judged})
    _dispatcher.event(ReRankEndEvent(nodes=judged))


class ObservedReranker(Reranker):
    """A reranker, with the events of each call that judges."""

    @classmethod
    def within(
        cls, reranker: Reranker | Reranking, manager: CallbackManager, top_n: int
    ) -> Reranking:
        """The same reranking, observed."""
        reranking = Reranking.of(reranker)
        return replace(reranking, reranker=cls(reranking.reranker, manager, top_n))

    def __init__(self, reranker: Reranker, manager: CallbackManager, top_n: int) -> None:
        self._reranker = reranker
        self._manager = manager
        self._top_n = top_n

    @property
    def name(self) -> str:
        """The reranker's own name."""
        return self._reranker.name

    def at(self, directory: Path) -> ObservedReranker:
        """As the reranker, observed."""
        return ObservedReranker(self._reranker.at(directory), self._manager, self._top_n)

    def score(
        self, text: str | None, image: ImageRef | None, records: Sequence[Record]
    ) -> NDArray[np.float32]:
        """What the reranker says; the picture of the query is not told to observers."""
        if not records:
            return self._reranker.score(text, image, records)
        nodes = [NodeWithScore(node=node_of(record)) for record in records]
        with reranking_events(self._manager, text or "", nodes, self.name, self._top_n) as judged:
            scores = self._reranker.score(text, image, records)
            judged += [
                NodeWithScore(node=node.node, score=None if np.isnan(score) else float(score))
                for node, score in zip(nodes, np.ravel(scores), strict=False)
            ]
        return scores
