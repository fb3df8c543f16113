"""`ObservedReranker`: tell LlamaIndex's observers about a reranker's work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.schema import NodeWithScore
from numpy.typing import NDArray

from llama_index_unisem.hits import node_of
from unisem.images.reference import ImageRef
from unisem.records import Record
from unisem.rerank import Reranker

_dispatcher = get_dispatcher(__name__)


class ObservedReranker(Reranker):
    """A reranker, with the start and the end event of each call, in the new and the older way."""

    def __init__(self, reranker: Reranker, manager: CallbackManager, top_n: int) -> None:
        self._reranker = reranker
        self._manager = manager
        self._top_n = top_n

    @property
    def name(self) -> str:
        """The reranker's own name."""
        return self._reranker.name

    def score(
        self, text: str | None, image: ImageRef | None, records: Sequence[Record]
    ) -> NDArray[np.float32]:
        """What the reranker says; the picture of the query is not told to observers."""
        nodes = [NodeWithScore(node=node_of(record)) for record in records]
        payload: dict[str, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: self.name,
            EventPayload.QUERY_STR: text or "",
            EventPayload.TOP_K: self._top_n,
        }
        _dispatcher.event(
            ReRankStartEvent(query=text or "", nodes=nodes, top_n=self._top_n, model_name=self.name)
        )
        with self._manager.event(CBEventType.RERANKING, payload=payload) as event:
            scores = self._reranker.score(text, image, records)
            judged = [
                NodeWithScore(node=node.node, score=None if np.isnan(score) else float(score))
                for node, score in zip(nodes, np.ravel(scores), strict=False)
            ]
            event.on_end(payload={EventPayload.NODES: judged})
        _dispatcher.event(ReRankEndEvent(nodes=judged))
        return scores
