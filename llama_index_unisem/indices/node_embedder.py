"""`NodeEmbedder`: copies of nodes with their vectors, pictures by any LlamaIndex embedding."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.embeddings.multi_modal_base import MultiModalEmbedding
from llama_index.core.schema import BaseNode, MetadataMode, Node

from llama_index_unisem.embeddings.embedding import UniSemEmbedding
from llama_index_unisem.embeddings.node_vectors import NodePlan
from llama_index_unisem.node_images import has_image, image_of, is_captioned_url
from unisem.common.skipped import Skipped
from unisem.errors import ImageError

_log = logging.getLogger(__name__)

_PROBE = 32  # pixels; a JPEG is decoded at reduced size


class NodeEmbedder:
    """Gives nodes their vectors; those that have one keep it.

    A picture is embedded as a picture, its caption beside it; see `NodePlan`. An embedding for
    texts only embeds a picture by its caption.

    Args:
        model: A `UniSemEmbedding`, any ``MultiModalEmbedding``, or an embedding for texts.
        skipped: Gets an entry for each node whose picture cannot be used; it is left out.
    """

    def __init__(self, model: BaseEmbedding, skipped: list[Skipped]) -> None:
        self._model = model
        self._skipped = skipped

    def embed(self, nodes: Sequence[BaseNode], show_progress: bool = False) -> list[BaseNode]:
        """Return copies with vectors, without the nodes that had to be skipped.

        Raises:
            ValueError: A picture without a caption, and an embedding for texts.
        """
        copies = [_copy(node) for node in nodes]
        try:
            self._fill(copies, show_progress)
        except ImageError:
            copies = self._usable(copies)
            self._fill(copies, show_progress)
        return copies

    async def aembed(
        self, nodes: Sequence[BaseNode], show_progress: bool = False
    ) -> list[BaseNode]:
        """As `embed`."""
        copies = [_copy(node) for node in nodes]
        try:
            await self._afill(copies, show_progress)
        except ImageError:
            copies = await asyncio.to_thread(self._usable, copies)
            await self._afill(copies, show_progress)
        return copies

    def _fill(self, nodes: Sequence[BaseNode], show_progress: bool) -> None:
        model, plan, vectors = self._model, self._plan(nodes), list[Embedding]()
        if isinstance(model, MultiModalEmbedding) and plan.images:
            vectors = model.get_image_embedding_batch(self._given(plan), show_progress)
        plan.keep(vectors, model.get_text_embedding_batch(plan.texts, show_progress))

    async def _afill(self, nodes: Sequence[BaseNode], show_progress: bool) -> None:
        model, plan, vectors = self._model, self._plan(nodes), list[Embedding]()
        if isinstance(model, MultiModalEmbedding) and plan.images:
            images = await asyncio.to_thread(self._given, plan)
            vectors = await model.aget_image_embedding_batch(images, show_progress)
        plan.keep(vectors, await model.aget_text_embedding_batch(plan.texts, show_progress))

    def _plan(self, nodes: Sequence[BaseNode]) -> NodePlan:
        missing = [node for node in nodes if node.embedding is None]
        if isinstance(self._model, MultiModalEmbedding):
            return NodePlan(missing)
        for node in missing:
            if has_image(node) and not node.get_content(MetadataMode.EMBED):
                raise ValueError(
                    f"{type(self._model).__name__} embeds texts only, and node {node.node_id!r} is "
                    "a picture without a caption; use UniSemEmbedding or another "
                    "MultiModalEmbedding"
                )
        return NodePlan(missing, pictures="by caption")

    def _given(self, plan: NodePlan) -> list[Any]:
        """Pictures as the embedding takes them; a path is confined to its folder first."""
        if isinstance(self._model, UniSemEmbedding):
            return list(plan.images)
        return [
            str(image.path)
            if image.path is not None and image.root is None and image.region is None
            else BytesIO(image.read_bytes())
            for image in plan.images
        ]

    def _usable(self, nodes: Sequence[BaseNode]) -> list[BaseNode]:
        """Leave out the nodes whose pictures cannot be read."""
        kept: list[BaseNode] = []
        for node in nodes:
            try:
                seen = node.embedding is None and not is_captioned_url(node)
                image = image_of(node) if seen else None
                if image is not None:
                    image.open(min_side=_PROBE)
            except ImageError as error:
                _log.warning("node %r is left out: %s", node.node_id, error)
                self._skipped.append(Skipped(node.node_id, str(error)))
            else:
                kept.append(node)
        return kept


def _copy(node: BaseNode) -> BaseNode:
    copied = node.model_copy()
    if isinstance(copied, Node) and copied.text_resource is not None:
        copied.text_resource = copied.text_resource.model_copy()  # a caption's vector goes there
    return copied
