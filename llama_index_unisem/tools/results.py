"""`result_blocks`: search results as a tool returns them, captions and pictures side by side."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from io import BytesIO, IOBase

from llama_index.core.base.llms.types import ContentBlock, ImageBlock, TextBlock
from llama_index.core.bridge.pydantic import Field
from llama_index.core.schema import MetadataMode

from llama_index_unisem.shown import Shown
from llama_index_unisem.tools.references import ToolImageReference
from unisem.images.for_models import ImageLimits, ModelImage
from unisem.presentation.fence import RULES
from unisem.presentation.fence import result as fence

HEADER = f"Search results, best first. {RULES} Cite what you use by its id in brackets.\n"
_NOTHING = "The search found nothing.\n"


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


def result_blocks(results: Iterable[Shown], limits: ImageLimits) -> list[ContentBlock]:
    """Turn results into blocks: a header, then each text or caption, then its picture.

    Every text ends with a line break, as some interfaces join them without one.

    Args:
        results: Nodes and their pictures.
        limits: How large pictures may be when they are sent.
    """
    blocks: list[ContentBlock] = []
    for shown in results:
        node_id = shown.node.node_id
        if not blocks:
            blocks.append(TextBlock(text=HEADER))
        text = fence(shown.node.get_content(MetadataMode.LLM), id=node_id)
        note = ""
        if shown.image is not None:
            note = " (its picture follows)"
        elif shown.omitted is not None:
            note = f" (its picture {shown.omitted})"
        blocks.append(TextBlock(text=f"{text}{note}\n"))
        if shown.image is not None:
            blocks.append(_picture_block(shown, shown.image, limits))
    return blocks or [TextBlock(text=_NOTHING)]


def _picture_block(shown: Shown, image: ModelImage, limits: ImageLimits) -> ResultImageBlock:
    node_id, mime_type = shown.node.node_id, image.mime_type
    if shown.ref is None or shown.ref.path is None:  # nothing else could bring the bytes back
        return ResultImageBlock(image=image.data, image_mimetype=mime_type, result_id=node_id)
    reference = ToolImageReference.to(shown.ref, node_id, limits)
    return ResultImageBlock(url=reference.url, image_mimetype=mime_type, result_id=node_id)
