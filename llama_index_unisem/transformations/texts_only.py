"""`TextsOnly`: a splitter, or any other step for texts, with the pictures led round it.

LlamaIndex's splitters cut what a node says. Of a `Document` with a picture they make a text, and
the picture is lost; of an `ImageDocument` with a long caption several pictures; at a `Node` they
fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.bridge.pydantic import Field, SerializeAsAny
from llama_index.core.node_parser import NodeParser
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageNode,
    NodeRelationship,
    TransformComponent,
)

from llama_index_unisem.embeddings.node_vectors import caption_vector
from llama_index_unisem.node_images import has_image
from llama_index_unisem.nodes import parts_of


class TextsOnly(TransformComponent):
    """Applies a transformation to the nodes that have no picture; pictures come after them.

    A document with a picture becomes an `ImageNode` of the same id, with the document as its
    source; any other node with a picture stays as it is.

    >>> from llama_index.core.node_parser import SentenceSplitter
    >>> from llama_index.core.schema import Document, MediaResource
    >>> from llama_index_unisem import TextsOnly
    >>> picture = Document(id_="a", text="a tiger", image_resource=MediaResource(path="a.png"))
    >>> [node.node_id for node in TextsOnly(SentenceSplitter())([picture])]
    ['a']
    """

    # By its own class, so that a pipeline's cache tells splitters of different settings apart.
    transformation: SerializeAsAny[TransformComponent] = Field(
        description="What is applied to texts."
    )

    def __init__(self, transformation: TransformComponent) -> None:
        """Wrap a transformation, for example a ``SentenceSplitter``.

        Args:
            transformation: As the field.
        """
        super().__init__(transformation=transformation)  # type: ignore[call-arg]

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises this class."""
        return "TextsOnly"

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if isinstance(self.transformation, NodeParser):
            # LlamaIndex rebuilds a splitter from its fields, and yet pickles its tokenizer, which a
            # new process would look for on the network; without one its pool waits for ever.
            bare = self.transformation.model_copy()
            bare.__pydantic_private__ = None
            state["__dict__"] = {**state["__dict__"], "transformation": bare}
        return state

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Transform the texts among the nodes.

        Args:
            nodes: The nodes.
            **kwargs: The transformation's own options.
        """
        texts, pictures = _sorted(nodes)
        return [*(self.transformation(texts, **kwargs) if texts else ()), *pictures]

    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Transform the texts among the nodes, as a plain call does."""
        texts, pictures = _sorted(nodes)
        found = await self.transformation.acall(texts, **kwargs) if texts else ()
        return [*found, *pictures]


def _sorted(nodes: Sequence[BaseNode]) -> tuple[list[BaseNode], list[BaseNode]]:
    texts: list[BaseNode] = []
    pictures: list[BaseNode] = []
    for node in nodes:
        if not has_image(node):
            texts.append(node)
        else:
            pictures.append(_picture_node(node) if isinstance(node, Document) else node)
    return texts, pictures


def _picture_node(document: Document) -> ImageNode:
    """The document's picture and caption as a node of its own."""
    resource = document.image_resource
    assert resource is not None
    parts = parts_of(document)
    source = document.source_node or document.as_related_node_info()
    parts["relationships"][NodeRelationship.SOURCE] = source
    return ImageNode(
        **parts,
        embedding=document.embedding,
        text_embedding=caption_vector(document),
        image=None if resource.data is None else resource.data.decode("ascii"),
        image_path=None if resource.path is None else str(resource.path),
        image_url=None if resource.url is None else str(resource.url),
        image_mimetype=resource.mimetype,
    )
