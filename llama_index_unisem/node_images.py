"""The pictures that nodes carry, wherever they come from, and which of them may be read."""

from __future__ import annotations

import logging
import os
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Sequence

from llama_index.core.schema import BaseNode, ImageNode, MetadataMode, Node

from llama_index_unisem.nodes import FoundText, UniSemImageNode, is_generated, words_of
from unisem.errors import ImageError
from unisem.images.reference import ImageRef
from unisem.presentation.contents import Item

_log = logging.getLogger(__name__)


def items_of(nodes: Iterable[BaseNode], roots: Sequence[str | os.PathLike[str]] = ()) -> list[Item]:
    """Nodes of any retriever as they are to be shown, each with the picture that may be read.

    Args:
        nodes: A `UniSemImageNode` is read inside the folder that its space allows, inline bytes are
            taken as they are, any other path must lie in one of ``roots``.
        roots: Folders that files may be read from.
    """
    items = []
    for node in nodes:
        picture = confined_image(node, roots)
        omitted = node.image_omitted if isinstance(node, FoundText) else None
        if isinstance(picture, ImageError):
            _log.warning("the picture of %r is not sent: %s", node.node_id, picture)
            omitted, picture = picture.summary, None
        elif picture is not None:
            omitted = None  # who shows it has limits of his own
        text = words_of(node, MetadataMode.LLM)
        generated = is_generated(node)
        items.append(
            Item(text=text, id=node.node_id, generated=generated, image=picture, omitted=omitted)
        )
    return items


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
    data, path, url = _places(node)
    if isinstance(node, UniSemImageNode) and path is not None:
        return node.picture
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


def confined_image(
    node: BaseNode, roots: Sequence[str | os.PathLike[str]]
) -> ImageRef | ImageError | None:
    """A node's picture if it may be read: one of a space, bytes, or a file inside the roots.

    Args:
        node: The node.
        roots: Folders that files may be read from.

    Returns:
        ``None`` if it has no picture, an `ImageError` if it has one that may not be read.
    """
    try:
        ref = image_of(node)
    except ImageError as error:
        return error
    if ref is None or ref.path is None:
        return ref
    if isinstance(node, UniSemImageNode) and ref.root is not None:
        return ref
    try:
        return ref.confined(roots)
    except ImageError as error:
        return error


def has_image(node: BaseNode) -> bool:
    """Whether a node carries a picture, were it only a URL; nothing is opened."""
    return any(_places(node))


def has_inline_image(node: BaseNode) -> bool:
    """Whether a node carries its picture's bytes; nothing is opened."""
    return bool(_places(node)[0])


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
        case UniSemImageNode():
            return node.kept_image, node.place, node.image_url
        case ImageNode():
            return node.image, node.image_path, node.image_url
        case Node(image_resource=resource) if resource is not None:
            return (
                None if resource.data is None else resource.data.decode("ascii"),
                None if resource.path is None else str(resource.path),
                None if resource.url is None else str(resource.url),
            )
    return None, None, None
