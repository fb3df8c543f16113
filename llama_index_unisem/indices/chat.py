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
from llama_index.core.schema import ImageNode, MetadataMode, NodeWithScore, QueryBundle, TextNode

from llama_index_unisem.shown import shown
from unisem.images.for_models import ImageLimits
from unisem.presentation.fence import result


class ImageContextChatEngine(MultiModalContextChatEngine):
    """LlamaIndex's multimodal engine, whose model is told whose each picture is."""

    def synthesize(
        self,
        query_bundle: QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        streaming: bool = False,
    ) -> RESPONSE_TYPE:
        """Answer from the nodes, pictures and captions."""
        parts = told(nodes, self._retriever)
        response = super().synthesize(query_bundle, parts, additional_source_nodes, streaming)
        response.source_nodes = nodes
        return response

    async def asynthesize(
        self,
        query_bundle: QueryBundle,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        streaming: bool = False,
    ) -> RESPONSE_TYPE:
        """As `synthesize`."""
        parts = await asyncio.to_thread(told, nodes, self._retriever)
        response = await super().asynthesize(
            query_bundle, parts, additional_source_nodes, streaming
        )
        response.source_nodes = nodes
        return response


class ImageCondenseChatEngine(MultiModalCondensePlusContextChatEngine):
    """As `ImageContextChatEngine`, after the question was put together from the conversation."""

    def synthesize(
        self,
        query_str: str,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        streaming: bool = False,
    ) -> RESPONSE_TYPE:
        """Answer from the nodes, pictures and captions."""
        parts = told(nodes, self._retriever)
        response = super().synthesize(query_str, parts, additional_source_nodes, streaming)
        response.source_nodes = nodes
        return response

    async def asynthesize(
        self,
        query_str: str,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        streaming: bool = False,
    ) -> RESPONSE_TYPE:
        """As `synthesize`."""
        parts = await asyncio.to_thread(told, nodes, self._retriever)
        response = await super().asynthesize(query_str, parts, additional_source_nodes, streaming)
        response.source_nodes = nodes
        return response


def told(nodes: Sequence[NodeWithScore], retriever: Any) -> list[NodeWithScore]:
    """Nodes as LlamaIndex's multimodal engines tell them, which part pictures from texts.

    Args:
        nodes: Best first.
        retriever: Its ``image_limits`` hold.

    Returns:
        The pictures that can be sent, read; then every text and caption, fenced, which says which
        picture is its own.
    """
    limits = getattr(retriever, "image_limits", None) or ImageLimits()
    pictures: list[NodeWithScore] = []
    texts: list[NodeWithScore] = []
    for hit, part in zip(nodes, shown([hit.node for hit in nodes], limits), strict=True):
        text = result(hit.node.get_content(MetadataMode.LLM), id=hit.node.node_id)
        if part.image is not None:
            image = ImageNode(image=part.image.base64, image_mimetype=part.image.mime_type)
            pictures.append(NodeWithScore(node=image, score=hit.score))
            text += f" (its picture is number {len(pictures)} above)"
        elif part.omitted is not None:
            text += f" (its picture {part.omitted})"
        texts.append(NodeWithScore(node=TextNode(text=text), score=hit.score))
    return [*pictures, *texts]
