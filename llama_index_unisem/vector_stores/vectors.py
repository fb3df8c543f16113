"""`caption_vector`: the second vector that a picture's node brings."""

from __future__ import annotations

from llama_index.core.schema import BaseNode, ImageNode, Node


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
