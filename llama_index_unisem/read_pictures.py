"""`ReadPicture`: a picture whose bytes have been read, ready to be shown."""

from __future__ import annotations

from base64 import b64decode

from llama_index.core.base.llms.types import BaseContentBlock, ImageBlock, TextBlock
from llama_index.core.bridge.pydantic import Field
from llama_index.core.schema import MetadataMode, Node

from llama_index_unisem.blocks import picture_blocks
from unisem.images.for_models import ModelImage


class ReadPicture(Node):
    """A picture whose bytes have been read, with its caption.

    ``text_resource`` is the caption and ``image_resource`` the bytes, or ``None``. Its
    ``class_name`` is its parent's, so that docstores know it.
    """

    image_omitted: str | None = Field(
        default=None, description="Why there is no picture; goes on from 'its picture …'."
    )

    def get_content_blocks(
        self, metadata_mode: MetadataMode = MetadataMode.NONE
    ) -> list[BaseContentBlock]:
        """The picture, then its node id, metadata and caption; sound and video after them."""
        content = self.get_content(metadata_mode)
        picture = self.image_resource
        others: list[BaseContentBlock] = []
        if self.audio_resource is not None or self.video_resource is not None:
            others = [
                block
                for block in super().get_content_blocks(metadata_mode)
                if not isinstance(block, TextBlock | ImageBlock)
            ]
        if picture is None or picture.data is None:
            reason = f"Its picture {self.image_omitted or 'is missing'}."
            return [TextBlock(text=f"[{self.node_id}] {reason}\n{content}"), *others]
        image = ModelImage(b64decode(picture.data), picture.mimetype or "image/png")
        caption = f"[{self.node_id}] The picture above.\n{content}"
        return [*picture_blocks(image, caption), *others]
