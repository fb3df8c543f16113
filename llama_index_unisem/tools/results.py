"""`result_blocks`: search results as a tool returns them, captions and pictures side by side."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO, IOBase

from llama_index.core.base.llms.types import ContentBlock, ImageBlock, TextBlock
from llama_index.core.bridge.pydantic import Field
from llama_index.core.schema import BaseNode

from llama_index_unisem.node_images import items_of
from llama_index_unisem.tools.references import ToolImageReference
from unisem.images.for_models import ImageLimits
from unisem.presentation.parts import ShownImage, listed


class ResultImageBlock(ImageBlock):
    """A result's picture, which knows whose it is: a `ToolImageReference`, or bytes without a file.

    What is referred to is read when it is resolved, and only if it is the one that was found.
    """

    result_id: str | None = Field(default=None, exclude=True, repr=False)

    def resolve_image(self, as_base64: bool = False) -> IOBase:
        """The picture as a chat model can read it.

        Raises:
            ImageError: It has gone or changed.
        """
        reference = ToolImageReference.parse(self.url)
        if reference is None:
            return super().resolve_image(as_base64)
        data = reference.read().data
        return BytesIO(b64encode(data) if as_base64 else data)


def result_blocks(
    nodes: Sequence[BaseNode], limits: ImageLimits, roots: Sequence[str]
) -> list[ContentBlock]:
    """Turn results into blocks: a header, then each text or caption, then its picture.

    Every text ends with a line break, as some interfaces join them without one.

    Args:
        nodes: Best first.
        limits: How many pictures, how large they may be when they are sent.
        roots: Where pictures of other retrievers' nodes may lie.
    """
    return [
        TextBlock(text=f"{part}\n") if isinstance(part, str) else _picture_block(part)
        for part in listed(items_of(nodes, roots), limits, by="id")
    ]


def _picture_block(part: ShownImage) -> ResultImageBlock:
    assert part.item is not None  # a question has no place among results
    assert part.limits is not None
    name, ref, mime_type = part.item.id, part.item.image, part.image.mime_type
    assert name is not None
    if ref is None or ref.path is None:  # nothing else could bring the bytes back
        return ResultImageBlock(image=part.image.data, image_mimetype=mime_type, result_id=name)
    reference = ToolImageReference.to(ref, name, part.limits)
    return ResultImageBlock(url=reference.url, image_mimetype=mime_type, result_id=name)
