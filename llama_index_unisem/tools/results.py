"""`result_blocks`: search results as a tool returns them, captions and pictures side by side."""

from __future__ import annotations

from collections.abc import Iterable

from llama_index.core.base.llms.types import ContentBlock, ImageBlock, TextBlock
from llama_index.core.bridge.pydantic import Field
from llama_index.core.schema import MetadataMode

from llama_index_unisem.shown import Shown
from unisem.presentation.fence import RULES, quoted
from unisem.presentation.fence import result as fence

HEADER = (
    f"Search results, best first. {RULES} "
    "Cite what you use by its id in brackets, like [{example}].\n"
)
_NOTHING = "The search found nothing.\n"


class ResultImageBlock(ImageBlock):
    """A result's picture, which knows whose it is."""

    result_id: str | None = Field(default=None, exclude=True, repr=False)


def result_blocks(results: Iterable[Shown]) -> list[ContentBlock]:
    """Turn results into blocks: a header, then each text or caption, then its picture.

    Every text ends with a line break, as some interfaces join them without one.
    """
    blocks: list[ContentBlock] = []
    for shown in results:
        node_id = shown.node.node_id
        if not blocks:
            blocks.append(TextBlock(text=HEADER.format(example=quoted(node_id)[1:-1])))
        text = fence(shown.node.get_content(MetadataMode.LLM), id=node_id)
        note = ""
        if shown.image is not None:
            note = " (its picture follows)"
        elif shown.omitted is not None:
            note = f" (its picture {shown.omitted})"
        blocks.append(TextBlock(text=f"{text}{note}\n"))
        if shown.image is not None:
            blocks.append(
                ResultImageBlock(
                    image=shown.image.data,
                    image_mimetype=shown.image.mime_type,
                    result_id=node_id,
                )
            )
    return blocks or [TextBlock(text=_NOTHING)]
