"""`image_blocks`: a picture and its caption as content blocks that stay together.

LlamaIndex packs retrieved content into the model's context window block by block. Where several
calls are needed, a caption would be packed with the picture before it, and its own picture would
open the next call. Here the picture comes first and is counted with its caption, and the caption
costs nothing more, so the packer never parts them while a window holds one picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from llama_index.core.base.llms.types import BaseContentBlock, ImageBlock, TextBlock
from llama_index.core.bridge.pydantic import Field

from unisem.images.for_models import ModelImage


class UniSemImageBlock(ImageBlock):
    """A picture that is counted together with its caption."""

    caption: str = Field(default="", exclude=True, repr=False)

    async def aestimate_tokens(self, tokenizer: Any | None = None) -> int:
        """LlamaIndex's estimate of a picture, and the caption's tokens."""
        caption = await TextBlock(text=self.caption).aestimate_tokens(tokenizer=tokenizer)
        return caption + await super().aestimate_tokens(tokenizer=tokenizer)


class CaptionBlock(TextBlock):
    """A caption that `UniSemImageBlock` has counted already; it is neither split nor merged."""

    async def aestimate_tokens(self, tokenizer: Any | None = None) -> int:
        """Nothing; see the module."""
        return 0

    async def asplit(  # type: ignore[override]
        self, max_tokens: int, overlap: int = 0, tokenizer: Any | None = None
    ) -> list[Self]:
        """Return the block, whole."""
        return [self]

    @classmethod
    async def amerge(  # type: ignore[override]
        cls, splits: Sequence[Self], chunk_size: int, tokenizer: Any | None = None
    ) -> Sequence[Self]:
        """Return the blocks, each by itself."""
        return splits


def image_blocks(image: ModelImage, caption: str) -> list[BaseContentBlock]:
    """Return the picture's block and, after it, its caption's."""
    picture = UniSemImageBlock(image=image.data, image_mimetype=image.mime_type, caption=caption)
    return [picture, CaptionBlock(text=caption)]
