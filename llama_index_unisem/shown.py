"""`shown`: nodes as a chat model is shown them, pictures read within limits."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llama_index.core.schema import BaseNode

from llama_index_unisem.node_images import image_of
from llama_index_unisem.nodes import UniSemImageNode
from llama_index_unisem.read_images import OmittedImage
from unisem.errors import ImageError
from unisem.images.for_models import ImageLimits, ModelImage
from unisem.images.reference import ImageRef
from unisem.presentation.contents import contents
from unisem.records import Record

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """One node and its picture.

    Attributes:
        node: The node, as it was.
        image: Its picture, if it has one that can be sent.
        omitted: Why a node's picture is not sent, in words that go on from "its picture …";
            ``None`` if it is sent, or there is none.
        ref: Where a picture that is sent was read from.
    """

    node: BaseNode
    image: ModelImage | None = None
    omitted: str | None = None
    ref: ImageRef | None = None


def shown(
    nodes: Sequence[BaseNode], limits: ImageLimits, roots: Sequence[str | os.PathLike[str]] = ()
) -> Iterator[Shown]:
    """Yield each node with its picture while the limits allow, best-ranked first.

    Args:
        nodes: Of any retriever. A `UniSemImageNode` is read inside the folder that its space
            allows, inline bytes are taken as they are, any other path must lie in ``roots``.
        limits: How many pictures, how large.
        roots: Folders, symbolic links resolved.
    """
    found = [confined_image(node, roots) for node in nodes]
    records = (Record(id="picture", image=ref) for ref in found if isinstance(ref, ImageRef))
    pictured = contents(records, limits)
    for node, ref in zip(nodes, found, strict=True):
        if ref is None:
            yield Shown(
                node, omitted=node.image_omitted if isinstance(node, OmittedImage) else None
            )
            continue
        error: ImageError | None
        if isinstance(ref, ImageError):
            result, error = Shown(node, omitted=ref.summary), ref
        else:
            content = next(pictured)
            result, error = Shown(node, content.image, content.omitted, ref), content.error
        if error is not None:
            _log.warning("the picture of %r is not sent: %s", node.node_id, error)
        yield result


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
    path = Path(os.path.abspath(ref.path))
    try:
        for root in (Path(folder).resolve() for folder in roots):
            if path.resolve().is_relative_to(root):
                return replace(ref, path=path, root=root)
    except (OSError, ValueError) as error:  # a path that no system can hold
        return ImageError(ref.name, "cannot be read", f" ({error})")
    return ImageError(
        ref.name,
        "lies outside the allowed folders",
        "; name the folders that pictures may be read from as image_roots",
    )
