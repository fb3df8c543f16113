"""`ImagesForLLM`: pictures of any retriever, ready for a chat model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from llama_index.core.bridge.pydantic import Field, field_validator
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import (
    BaseNode,
    NodeWithScore,
    QueryBundle,
)

from llama_index_unisem.node_images import items_of
from llama_index_unisem.nodes import FoundText, UniSemImageNode, parts_of
from unisem.images.for_models import MAX_BYTES, MAX_SIDE, ImageLimits
from unisem.presentation.contents import Content, contents


class ImagesForLLM(BaseNodePostprocessor):
    """Read hits' pictures, so that a chat model sees picture and caption whatever found them.

    Put it last: it looks at the order that the others have left. Each node with a picture becomes
    an ``ImageNode`` that holds its bytes, of the same id, score, metadata and relationships, which
    LlamaIndex's own multimodal engines show, too; texts pass as they are. A picture that cannot be
    sent costs its own place only: the caption stays, and the text says why.

    >>> from llama_index.core.schema import ImageNode, NodeWithScore
    >>> hit = NodeWithScore(node=ImageNode(text="a tiger", image_path="gone.jpg"), score=0.5)
    >>> read = ImagesForLLM(image_roots=["."]).postprocess_nodes([hit])[0]
    >>> read.node.image_omitted, read.get_content(), read.score
    ('does not exist', 'a tiger', 0.5)
    """

    image_roots: list[str | Path] = Field(
        default_factory=list,
        description="Folders from which pictures of other retrievers' nodes may be read.",
    )
    max_images: int = Field(default=8, ge=0, description="Pictures at most; the first ones.")
    max_side: int = Field(
        default=MAX_SIDE, ge=1, description="Pixels of a picture's longer side; scaled down."
    )
    max_bytes: int = Field(
        default=MAX_BYTES, ge=1, description="Bytes of all pictures, each an equal share."
    )

    @field_validator("image_roots", mode="before")
    @classmethod
    def _as_strings(cls, roots: object) -> object:
        if isinstance(roots, str | os.PathLike):
            raise ValueError("image_roots must be a list of folders, not one")
        return [os.fspath(root) for root in roots] if isinstance(roots, Sequence) else roots

    @classmethod
    def class_name(cls) -> str:
        """Its name in serialised form."""
        return "ImagesForLLM"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        limits = ImageLimits(count=self.max_images, side=self.max_side, bytes=self.max_bytes)
        read = contents(items_of([hit.node for hit in nodes], self.image_roots), limits)
        return [
            NodeWithScore(node=_read(hit.node, content), score=hit.score)
            for hit, content in zip(nodes, read, strict=True)
        ]


def _read(node: BaseNode, content: Content) -> BaseNode:
    if content.image is None and content.omitted is None:
        return node
    parts = parts_of(node)
    if content.image is None:
        return FoundText(**parts, image_omitted=content.omitted)
    return UniSemImageNode(
        **parts,
        image=content.image.base64,
        image_mimetype=content.image.mime_type,
    )
