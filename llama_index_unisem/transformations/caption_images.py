"""`CaptionImages`: nodes of pictures get captions on their way through an ingestion pipeline."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.schema import (
    BaseNode,
    MediaResource,
    MetadataMode,
    Node,
    TextNode,
    TransformComponent,
)

from llama_index_unisem.node_images import confined_image, is_captioned_url
from llama_index_unisem.nodes import marks_hidden
from unisem.captioners import Captioner, load_captioner
from unisem.captioners.caption_run import CaptionRun
from unisem.captions import marks_of
from unisem.common.skipped import Skipped
from unisem.common.threads import InThread
from unisem.errors import ImageError
from unisem.images.reference import ImageRef

_log = logging.getLogger(__name__)


class CaptionImages(TransformComponent):
    """Writes captions for nodes that carry a picture and say nothing.

    A caption becomes the node's text, and ``caption_generated_by`` and ``caption_sha256`` in the
    metadata say that it is generated, as in a space; both are kept out of what is embedded and of
    what a model is shown, which is told that the caption is generated. Nodes come back in their
    order; those with words, and texts, as they are. What cannot be captioned keeps its node and is
    logged. Pipelines' caches know the captioner by its fingerprint.

    Inline bytes are read as they are, paths inside ``image_roots`` only, URLs never.
    """

    captioner_name: str = Field(description="What captions are marked with.")
    captioner_fingerprint: str = Field(description="Tells captioners apart for caches.")
    image_roots: list[str] = Field(description="Folders that pictures may be read from.")
    _captioner: Captioner = PrivateAttr()

    def __init__(
        self,
        captioner: Captioner | str,
        *,
        image_roots: Sequence[str | os.PathLike[str]] = (),
    ) -> None:
        """Find the captioner; weights are loaded when it first writes.

        Args:
            captioner: A `unisem.captioners.Captioner`, such as `LLMCaptioner`, or a name for
                `unisem.captioners.load_captioner`. A `CachedCaptioner` with a file keeps what was
                written from one run to the next.
            image_roots: As the field: those that your reader reads.

        Raises:
            CaptionerError: There is no such captioner; later, if it fails on 16 pictures running.
        """
        if isinstance(image_roots, str | os.PathLike):
            raise TypeError(f"image_roots must be a list, for example [{str(image_roots)!r}]")
        found = load_captioner(captioner)
        super().__init__(  # type: ignore[call-arg]
            captioner_name=found.name,
            captioner_fingerprint=found.fingerprint,
            image_roots=[os.path.realpath(root) for root in image_roots],
        )
        self._captioner = found

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises this class."""
        return "CaptionImages"

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Return the nodes, those of wordless pictures as copies with captions.

        Args:
            nodes: The nodes.
            **kwargs: None.
        """
        found = list(nodes)
        images: dict[int, ImageRef | ImageError] = {}
        for place, node in enumerate(found):
            if not node.get_content(MetadataMode.NONE).strip() and not is_captioned_url(node):
                image = confined_image(node, self.image_roots)
                if image is not None:
                    images[place] = image
        captions = CaptionRun(self._captioner, _leave_out).all(list(images.values()))
        for place, caption in zip(images, captions, strict=True):
            if caption is not None:
                found[place] = _captioned(found[place], caption, self._captioner.name)
        return found

    acall = InThread(__call__).twin


def _leave_out(skipped: Skipped) -> None:
    _log.warning("%s has no caption: %s", skipped.name, skipped.reason)


def _captioned(node: BaseNode, caption: str, captioner: str) -> BaseNode:
    metadata = {**node.metadata, **marks_of(caption, captioner)}
    update: dict[str, Any] = {"metadata": metadata}
    update |= marks_hidden(
        metadata, node.excluded_embed_metadata_keys, node.excluded_llm_metadata_keys
    )
    if isinstance(node, TextNode):
        update["text"] = caption
    elif isinstance(node, Node):
        update["text_resource"] = MediaResource(text=caption)
    return node.model_copy(update=update)
