"""`FoundText` and `UniSemImageNode`: what was retrieved, fenced; a picture with its caption.

LlamaIndex's `ImageNode` sends the picture without the caption, and one missing file ends the
whole query. This subclass reads the file when the message is built.
"""

from __future__ import annotations

import logging
from io import BytesIO
from pathlib import Path

from llama_index.core.base.llms.types import BaseContentBlock, TextBlock
from llama_index.core.bridge.pydantic import Field
from llama_index.core.schema import ImageNode, ImageType, MetadataMode, TextNode

from llama_index_unisem.blocks import image_blocks
from unisem.errors import ImageError
from unisem.images.for_models import ImageLimits, image_for_model
from unisem.images.reference import ImageRef
from unisem.presentation.fence import result

_log = logging.getLogger(__name__)


class FoundText(TextNode):
    """A text found in a space; a model is shown it as data, between marks that it cannot close.

    Its ``class_name`` is its parent's, so that docstores know it.
    """

    def get_content_blocks(
        self, metadata_mode: MetadataMode = MetadataMode.NONE
    ) -> list[BaseContentBlock]:
        """The id, metadata and text, fenced."""
        return [TextBlock(text=result(self.get_content(metadata_mode), id=self.node_id))]


class UniSemImageNode(ImageNode):
    """A picture found in a space, by reference.

    Its ``class_name`` is its parent's, so that docstores and other vector stores, which know no
    subclasses, bring it back as an `ImageNode` with path and caption and not as a text.
    """

    image_root: str | None = Field(
        default=None, description="The folder that image_path must stay inside."
    )
    image_sha256: str | None = Field(
        default=None, description="Digest of the picture that was found; no other one is shown."
    )
    image_side: int = Field(
        default=ImageLimits().side, description="Pixels that the longer side may have when sent."
    )
    image_bytes: int = Field(
        default=ImageLimits().bytes, description="Bytes that the picture may have when sent."
    )
    image_omitted: str | None = Field(
        default=None, description="Why the picture is not to be sent; None if it is."
    )

    @property
    def picture(self) -> ImageRef:
        """The picture's reference.

        Raises:
            ImageError: The node has no path.
        """
        if self.image_path is None:
            raise ImageError(self.node_id, "has no image_path")
        root = None if self.image_root is None else Path(self.image_root)
        return ImageRef(path=Path(self.image_path), root=root, sha256=self.image_sha256)

    def resolve_image(self) -> ImageType:
        """The file's bytes, read now, if they are those of the picture that was found.

        Raises:
            ImageError: Missing, unreadable, changed, or outside the allowed folder.
        """
        return BytesIO(self.picture.read_verified())

    def get_content_blocks(
        self, metadata_mode: MetadataMode = MetadataMode.NONE
    ) -> list[BaseContentBlock]:
        """The picture, then its node id, metadata and caption; only the latter if it is missing."""
        content = result(self.get_content(metadata_mode), id=self.node_id)
        omitted = self.image_omitted
        if omitted is None:
            try:
                image = image_for_model(
                    self.picture, side=self.image_side, max_bytes=self.image_bytes
                )
            except ImageError as error:
                omitted = error.summary
                _log.warning("the picture of %r is not sent: %s", self.node_id, error)
            else:
                return image_blocks(image, f"{content} (its picture is above)")
        return [TextBlock(text=f"{content} (its picture {omitted})")]
