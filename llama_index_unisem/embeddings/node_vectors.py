"""`NodePlan`: which nodes are embedded as pictures and which as texts, and where vectors go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.schema import BaseNode, ImageNode, MetadataMode, Node

from llama_index_unisem.node_images import image_of, is_captioned_url
from unisem.images.reference import ImageRef


class NodePlan:
    """Sorts nodes, and takes the vectors back.

    A node with a picture gets its picture's vector; its caption, if it has one, is embedded as it
    stands, without metadata, and its vector is kept where LlamaIndex has a place for it. Any other
    node gets the vector of its text with the metadata that is meant for embedding; so does a
    picture that is only a URL, as nothing is fetched, by its caption.

    Args:
        nodes: The nodes.
        pictures: ``"by caption"`` for an embedding that knows texts only.

    Attributes:
        images: Pictures to embed.
        texts: Texts to embed: other nodes' contents, then captions.

    Raises:
        ImageError: A node has a picture that cannot be used, see `image_of`, and no caption in
            its place.
    """

    def __init__(
        self,
        nodes: Sequence[BaseNode],
        pictures: Literal["as pictures", "by caption"] = "as pictures",
    ) -> None:
        self._pictures: list[BaseNode] = []
        self._captioned: list[BaseNode] = []
        self._others: list[BaseNode] = []
        self.images: list[ImageRef] = []
        for node in nodes:
            by_words = pictures == "by caption" or is_captioned_url(node)
            image = None if by_words else image_of(node)
            if image is None:
                self._others.append(node)
                continue
            self._pictures.append(node)
            self.images.append(image)
            if node.get_content(MetadataMode.NONE):
                self._captioned.append(node)
        self.texts = [node.get_content(MetadataMode.EMBED) for node in self._others]
        self.texts += [node.get_content(MetadataMode.NONE) for node in self._captioned]

    def keep(self, images: Sequence[Embedding], texts: Sequence[Embedding]) -> None:
        """Put the vectors of ``images`` and ``texts`` into the nodes."""
        for node, embedding in zip(self._pictures, images, strict=True):
            node.embedding = embedding
        count = len(self._others)
        for node, embedding in zip(self._others, texts[:count], strict=True):
            node.embedding = embedding
        for node, embedding in zip(self._captioned, texts[count:], strict=True):
            put_caption_vector(node, embedding)


def caption_vector(node: BaseNode) -> list[float] | None:
    """The vector of a picture's caption, if the node has one."""
    if isinstance(node, ImageNode):
        return node.text_embedding
    if isinstance(node, Node) and node.image_resource and node.text_resource:
        return (node.text_resource.embeddings or {}).get("dense")
    return None


def put_caption_vector(node: BaseNode, vector: list[float]) -> None:
    """Give a picture its caption's vector, in place."""
    if isinstance(node, ImageNode):
        node.text_embedding = vector
    elif isinstance(node, Node) and node.text_resource is not None:
        others = node.text_resource.embeddings or {}
        node.text_resource.embeddings = {**others, "dense": vector}
