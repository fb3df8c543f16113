"""`image_of`, `has_image`, `is_captioned_url`: the picture that a node carries."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error

from llama_index.core.schema import BaseNode, ImageNode, MetadataMode, Node

from llama_index_unisem.nodes import UniSemImageNode
from unisem.errors import ImageError
from unisem.images.reference import ImageRef


def image_of(node: BaseNode) -> ImageRef | None:
    """Find a node's picture: inline bytes first, then a path.

    Args:
        node: Any node; `ImageNode`, and `Node`, `Document` and `ImageDocument` with an
            ``image_resource``, may carry one.

    Returns:
        A reference, not opened yet; ``None`` if the node has no picture.

    Raises:
        ImageError: The picture is only a URL, or its inline bytes are not base64.
    """
    if isinstance(node, UniSemImageNode) and node.image_path is not None:
        return node.picture
    data, path, url = _places(node)
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


def has_image(node: BaseNode) -> bool:
    """Whether a node carries a picture, were it only a URL; nothing is opened."""
    return any(_places(node))


def is_captioned_url(node: BaseNode) -> bool:
    """Whether a node has a picture that is only a URL, and a caption by which it can be found."""
    data, path, url = _places(node)
    only_url = bool(url) and not data and not path
    return only_url and bool(node.get_content(MetadataMode.NONE).strip())


def image_url_of(node: BaseNode) -> str | None:
    """The URL of a node's picture, if it has one; it is never fetched."""
    return _places(node)[2]


def _places(node: BaseNode) -> tuple[str | None, str | None, str | None]:
    """A picture's base64, path and URL, as far as the node has them."""
    match node:
        case ImageNode():
            return node.image, node.image_path, node.image_url
        case Node(image_resource=resource) if resource is not None:
            return (
                None if resource.data is None else resource.data.decode("ascii"),
                None if resource.path is None else str(resource.path),
                None if resource.url is None else str(resource.url),
            )
    return None, None, None
