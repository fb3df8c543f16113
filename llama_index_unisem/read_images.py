"""`ReadImage`: a picture whose bytes have been read; `OmittedImage`: one that is not shown."""

from __future__ import annotations

from base64 import b64decode

from llama_index.core.base.llms.types import AudioBlock, BaseContentBlock, TextBlock, VideoBlock
from llama_index.core.bridge.pydantic import Field
from llama_index.core.schema import ImageNode, MediaResource, MetadataMode, TextNode

from llama_index_unisem.blocks import image_blocks
from unisem.images.for_models import ModelImage
from unisem.presentation.fence import result


class _WithSound(TextNode):
    """A node that may bring sound and video, which are shown after what it says."""

    audio_resource: MediaResource | None = Field(default=None, description="Sound, if any.")
    video_resource: MediaResource | None = Field(default=None, description="Video, if any.")

    def _others(self) -> list[BaseContentBlock]:
        blocks: list[BaseContentBlock] = []
        if (sound := self.audio_resource) is not None:
            blocks.append(AudioBlock(audio=sound.data, path=sound.path, url=sound.url))
        if (video := self.video_resource) is not None:
            blocks.append(VideoBlock(video=video.data, path=video.path, url=video.url))
        return blocks


class ReadImage(_WithSound, ImageNode):
    """A picture whose bytes have been read, in ``image``, with its caption as text.

    It is an ``ImageNode``, which LlamaIndex's own multimodal engines look for, and its
    ``class_name`` is that, so that docstores know it.
    """

    def get_content_blocks(
        self, metadata_mode: MetadataMode = MetadataMode.NONE
    ) -> list[BaseContentBlock]:
        """The picture, then its node id, metadata and caption; sound and video after them."""
        image = ModelImage(b64decode(self.image or ""), self.image_mimetype or "image/png")
        content = result(self.get_content(metadata_mode), id=self.node_id)
        return [*image_blocks(image, f"{content} (its picture is above)"), *self._others()]


class OmittedImage(_WithSound):
    """A picture that cannot be shown: its caption, and why."""

    image_omitted: str = Field(description="Why there is no picture; goes on from 'its picture …'.")

    def get_content_blocks(
        self, metadata_mode: MetadataMode = MetadataMode.NONE
    ) -> list[BaseContentBlock]:
        """The node id, metadata and caption, and why there is no picture; sound and video."""
        content = result(self.get_content(metadata_mode), id=self.node_id)
        return [TextBlock(text=f"{content} (its picture {self.image_omitted})"), *self._others()]
