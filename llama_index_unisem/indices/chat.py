"""Chat engines over a retriever that show pictures and captions, where LlamaIndex's lose one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from llama_index.core.base.response.schema import RESPONSE_TYPE
from llama_index.core.chat_engine.multi_modal_condense_plus_context import (
    MultiModalCondensePlusContextChatEngine,
)
from llama_index.core.chat_engine.multi_modal_context import MultiModalContextChatEngine
from llama_index.core.schema import ImageNode, NodeWithScore, TextNode

from llama_index_unisem.node_images import items_of
from unisem.presentation.parts import apart


class _WithCaptions:
    """What stands before an engine that parts pictures from texts: each says which is its own."""

    _retriever: Any

    def synthesize(
        self,
        query: Any,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        streaming: bool = False,
    ) -> RESPONSE_TYPE:
        """Answer from the nodes, pictures and captions."""
        engine: Any = super()
        told = self._told(nodes)
        response: RESPONSE_TYPE = engine.synthesize(query, told, additional_source_nodes, streaming)
        response.source_nodes = nodes
        return response

    async def asynthesize(
        self,
        query: Any,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        streaming: bool = False,
    ) -> RESPONSE_TYPE:
        """As `synthesize`; the pictures are read in a thread."""
        engine: Any = super()
        told = await asyncio.to_thread(self._told, nodes)
        response: RESPONSE_TYPE = await engine.asynthesize(
            query, told, additional_source_nodes, streaming
        )
        response.source_nodes = nodes
        return response

    def _told(self, nodes: Sequence[NodeWithScore]) -> list[NodeWithScore]:
        """The pictures that can be sent, read; then every text and caption, fenced."""
        limits = getattr(self._retriever, "image_limits", None)
        pictures, texts = apart(items_of([hit.node for hit in nodes]), limits)
        read = [
            ImageNode(image=it.image.base64, image_mimetype=it.image.mime_type) for it in pictures
        ]
        return [
            NodeWithScore(node=node) for node in (*read, *(TextNode(text=text) for text in texts))
        ]


class ImageContextChatEngine(_WithCaptions, MultiModalContextChatEngine):
    """LlamaIndex's multimodal engine, whose model is told whose each picture is."""


class ImageCondenseChatEngine(_WithCaptions, MultiModalCondensePlusContextChatEngine):
    """As `ImageContextChatEngine`, after the question was put together from the conversation."""
