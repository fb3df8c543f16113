"""`picture_of` and `has_picture`: the picture that a LlamaIndex node carries."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error

from llama_index.core.schema import BaseNode, ImageNode, Node

from llama_index_unisem.nodes import PictureNode
from unisem.errors import ImageError
from unisem.images.reference import ImageRef


def picture_of(node: BaseNode) -> ImageRef | None:
    """Find a node's picture: inline bytes first, then a path.

    Args:
        node: Any node; `ImageNode`, and `Node`, `Document` and `ImageDocument` with an
            ``image_resource``, may carry one.

    Returns:
        A reference, not opened yet; ``None`` if the node has no picture.

    Raises:
        ImageError: The picture is only a URL, or its inline bytes are not base64.
    """
    match node:
        case PictureNode() if node.image_path is not None:
            return node.picture
        case ImageNode():
            data, path, url = node.image, node.image_path, node.image_url
        case Node(image_resource=resource) if resource is not None:
            data = None if resource.data is None else resource.data.decode("ascii")
            path = None if resource.path is None else str(resource.path)
            url = None if resource.url is None else str(resource.url)
        case _:
            return None
    if data:
        try:
            return ImageRef(data=b64decode(data, validate=True))
        except (Base64Error, ValueError):
            raise ImageError(f"node {node.node_id}", "has a picture that is not base64") from None
    if path:
        return ImageRef.of(path)
    if url:
        raise ImageError(url, "is a URL; UniSem fetches nothing. Download the picture first")
    return None


def has_picture(node: BaseNode) -> bool:
    """Whether a node carries a picture, were it only a URL; nothing is opened."""
    match node:
        case ImageNode():
            return bool(node.image or node.image_path or node.image_url)
        case Node(image_resource=resource) if resource is not None:
            return bool(resource.data or resource.path or resource.url)
    return False
