"""Nodes that a space has found: `FoundText`, and `UniSemImageNode`, a picture with its caption.

What was retrieved is fenced wherever LlamaIndex reads it for a model, and a picture is read at the
last moment, as the one that was found or not at all. Both have the ``class_name`` of their parent,
so that docstores and other vector stores, which know no subclasses, bring them back as a `TextNode`
or as an `ImageNode` with path and caption.

LlamaIndex packs retrieved content into the model's context window block by block. Where several
calls are needed, a caption would be packed with the picture before it, and its own picture would
open the next call. Here the picture comes first and is counted with its caption, and the caption
costs nothing more, so the packer never parts them while a window holds one picture.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from llama_index.core.base.llms.types import (
    AudioBlock,
    BaseContentBlock,
    ImageBlock,
    TextBlock,
    VideoBlock,
)
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.schema import (
    BaseNode,
    ImageNode,
    ImageType,
    MediaResource,
    MetadataMode,
    NodeRelationship,
    NodeWithScore,
    RelatedNodeInfo,
    RelatedNodeType,
    TextNode,
)

from unisem.captions import MARKS, generated_by
from unisem.errors import ImageError
from unisem.images.for_models import ImageLimits, ModelImage, Regions
from unisem.images.reference import ImageRef
from unisem.images.region import Region
from unisem.presentation.citation import citation, way
from unisem.presentation.contents import Content, Item, byte_share, contents, left_out
from unisem.presentation.fence import result
from unisem.presentation.written import written
from unisem.records import Record
from unisem.stores.hits import Hit

RELATIONS = {
    "previous": NodeRelationship.PREVIOUS,
    "next": NodeRelationship.NEXT,
    "parent": NodeRelationship.PARENT,
}
"""A record's links as LlamaIndex names them."""
COPIES = "copies"
"""Under which key a node's metadata has the ids of other records with the same picture."""

_PARTS = (
    "metadata",
    "relationships",
    "excluded_embed_metadata_keys",
    "excluded_llm_metadata_keys",
    "metadata_template",
    "metadata_separator",
    "text_template",
    "audio_resource",
    "video_resource",
)


class FoundText(TextNode):
    """A text that was found, or the caption of a picture that cannot be shown.

    A model is shown it as data, between marks that it cannot close.
    """

    image_omitted: str | None = Field(
        default=None,
        description="Why its picture is not to be sent; goes on from 'its picture …'.",
    )
    audio_resource: MediaResource | None = Field(default=None, description="Sound, if any.")
    video_resource: MediaResource | None = Field(default=None, description="Video, if any.")
    _searched: tuple[float, bool] | None = PrivateAttr(default=None)

    def words(self, metadata_mode: MetadataMode) -> str:
        """Metadata and text, not fenced."""
        return super().get_content(metadata_mode)

    def get_content(self, metadata_mode: MetadataMode = MetadataMode.NONE) -> str:
        """Metadata and text; fenced, with the id, for a model that reads them (``LLM``)."""
        words = self.words(metadata_mode)
        if metadata_mode != MetadataMode.LLM:
            return words
        return result(words, id=self.node_id, generated=is_generated(self))

    def get_content_blocks(
        self, metadata_mode: MetadataMode = MetadataMode.NONE
    ) -> list[BaseContentBlock]:
        """The picture, if there is one; id, metadata and text, fenced; then sound and video."""
        content = self._content(metadata_mode)
        words = content.words("is above")
        blocks: list[BaseContentBlock] = [TextBlock(text=words)]
        if content.image is not None:
            image = content.image
            blocks = [
                UniSemImageBlock(image=image.data, image_mimetype=image.mime_type, caption=words),
                CaptionBlock(text=words),
            ]
        if (sound := self.audio_resource) is not None:
            blocks.append(AudioBlock(audio=sound.data, path=sound.path, url=sound.url))
        if (video := self.video_resource) is not None:
            blocks.append(VideoBlock(video=video.data, path=video.path, url=video.url))
        return blocks

    def _content(self, metadata_mode: MetadataMode) -> Content:
        item = Item(text=self.words(metadata_mode), id=self.node_id, generated=is_generated(self))
        return Content(item, omitted=self.image_omitted)


class UniSemImageNode(FoundText, ImageNode):
    """A picture that was found: by reference, or its bytes in ``image``.

    LlamaIndex's own multimodal engines do not ask a node what to show: they take ``image``, and
    open ``image_path`` only if that is ``None``. So ``image`` is here the picture that was found,
    read when it is asked for, within the limits; a picture that is not to be shown is in its place
    a small one with the reason written on it.
    """

    image_root: str | None = Field(
        default=None, description="The folder that image_path must stay inside."
    )
    image_region: dict[str, Any] | None = Field(
        default=None, description="The part of a page that it is, if image_path is a PDF."
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
    image_shown: Regions = Field(
        default="alone", description="Whether a part of a page is shown alone or on its page."
    )
    _elsewhere: ImageRef | None = PrivateAttr(default=None)

    if not TYPE_CHECKING:  # a property cannot take the place of a field

        def __getattribute__(self, name: str) -> Any:
            if name == "image" and (kept := self.kept_image) is not None:
                return kept
            if name == "image":
                content = self._content(MetadataMode.NONE)
                return (content.image or written(f"This picture {content.omitted}.")).base64
            return super().__getattribute__(name)

    @property
    def kept_image(self) -> str | None:
        """The bytes that the node itself holds, in base64; nothing is read."""
        kept: str | None = self.__dict__.get("image")
        return kept

    @property
    def place(self) -> str | None:
        """Where the picture lies, a path or what a service calls it; ``None`` if nowhere."""
        if self.image_path is None and self._elsewhere is not None:
            return self._elsewhere.name
        return self.image_path

    @property
    def picture(self) -> ImageRef:
        """The picture's reference.

        Raises:
            ImageError: The node has no picture, or one that is not base64.
        """
        if self.kept_image is not None:
            try:
                return ImageRef(data=b64decode(self.kept_image, validate=True))
            except ValueError:
                raise ImageError(self.node_id, "has a picture that is not base64") from None
        if self.image_path is None and self._elsewhere is not None:
            return self._elsewhere
        if self.image_path is None:
            raise ImageError(
                self.node_id,
                "has no image_path",
                "; if it is a picture of a space on another machine, a copy of its node does not "
                "bring it here: retrieve it again",
            )
        root = None if self.image_root is None else Path(self.image_root)
        region = None if self.image_region is None else Region.from_json(self.image_region)
        path = Path(self.image_path)
        return ImageRef(path=path, root=root, region=region, sha256=self.image_sha256)

    @property
    def hash(self) -> str:
        """As of every `ImageNode` with this path; the file is not read."""
        parts = ("text", "image_path", "image_url")
        kept = {name: getattr(self, name) for name in parts}
        return ImageNode.model_construct(**kept, image=self.kept_image).hash

    def resolve_image(self) -> ImageType:
        """The picture's bytes, read now, if they are those of the picture that was found.

        Raises:
            ImageError: Missing, unreadable, changed, or outside the allowed folder.
        """
        return BytesIO(self.picture.read_verified())

    def _content(self, metadata_mode: MetadataMode) -> Content:
        item = Item(text=self.words(metadata_mode), id=self.node_id, generated=is_generated(self))
        if self.image_omitted is not None:
            return Content(item, omitted=self.image_omitted)
        try:
            item = replace(item, image=self.picture)
        except ImageError as error:
            return Content(item, omitted=error.summary)
        if self.kept_image is not None:  # whoever put it there has read it
            data = b64decode(self.kept_image)
            return Content(item, ModelImage(data, self.image_mimetype or "image/png"))
        limits = ImageLimits(1, self.image_side, self.image_bytes, self.image_shown)
        return next(contents([item], limits))


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


def tell_score(node: BaseNode, score: float, is_cosine: bool) -> None:
    """Note what a search gave a node, whatever score later steps give it, for `search_score`."""
    if isinstance(node, FoundText):
        node._searched = (score, is_cosine)


def search_score(hit: NodeWithScore) -> tuple[float | None, bool | None]:
    """The score that a search gave a node, and whether it is a cosine.

    Other retrievers' nodes do not tell: theirs is the score that they have, ``None`` what it is.
    """
    told = hit.node._searched if isinstance(hit.node, FoundText) else None
    return (hit.score, None) if told is None else told


def nodes_of(hits: Sequence[Hit], limits: ImageLimits) -> list[NodeWithScore]:
    """Turn hits into scored nodes, best first.

    A node resolves its picture alone, without knowing the others, so the limits are shared out
    here: the best-ranked ``limits.count`` pictures are sent, each with an equal part of
    ``limits.bytes``. A hit's way through the knowledge graph goes into the metadata, as `way`, and
    the ids of its copies, as `COPIES`, which models do not read.
    """
    room = limits.count
    items = [Item(text="", image=hit.record.image) for hit in hits]
    share = byte_share(items, limits)
    found: list[NodeWithScore] = []
    for hit in hits:
        node = node_of(hit.record)
        for name, said in way(hit.path).items():  # models read it with the rest of the metadata
            _put(node, name, said)
        tell_copies(node, hit)
        if isinstance(node, UniSemImageNode):
            node.image_side, node.image_bytes = limits.side, share
            node.image_shown = limits.regions
            if room <= 0:
                node.image_omitted = left_out(limits.count)
            room -= 1
        found.append(NodeWithScore(node=node, score=float(hit.score)))
    return found


def tell_copies(node: BaseNode, hit: Hit) -> None:
    """Add the ids of a hit's copies to its node, as metadata `COPIES`, which no model reads."""
    if hit.copies:
        key = _put(node, COPIES, [copy.id for copy in hit.copies])
        node.excluded_llm_metadata_keys = [*node.excluded_llm_metadata_keys, key]
        node.excluded_embed_metadata_keys = [*node.excluded_embed_metadata_keys, key]


def _put(node: BaseNode, name: str, value: str | list[str]) -> str:
    """Add to a node's metadata, under which key it says; the record's own of that name stays."""
    key = next(free for n in count() if (free := name + "_" * n) not in node.metadata)
    node.metadata[key] = value
    node.excluded_embed_metadata_keys = [*node.excluded_embed_metadata_keys, key]
    return key


_SIZES = ("width", "height", "orientation")  # as a box: numbers that no model reads anything from


def node_of(record: Record) -> BaseNode:
    """Turn a record into a `FoundText`, or a `UniSemImageNode` if it has a picture."""
    relationships: dict[NodeRelationship, RelatedNodeType] = {
        RELATIONS[relation]: RelatedNodeInfo(node_id=target)
        for relation, target in record.links.items()
        if relation in RELATIONS
    }
    if record.source_id is not None:
        relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=record.source_id)
    unread = [] if citation(record.metadata) is None else ["box"]
    unread += [] if record.image is None else [key for key in _SIZES if key in record.metadata]
    parts: dict[str, Any] = {
        "id_": record.id,
        "text": record.text or "",
        "metadata": dict(record.metadata),
        "relationships": relationships,
        "excluded_embed_metadata_keys": unread,
        "excluded_llm_metadata_keys": list(unread),
        **marks_hidden(record.metadata, unread, unread),
    }
    if record.image is None:
        return FoundText(**parts)
    node = UniSemImageNode(
        **parts,
        image_path=None if record.image.path is None else str(record.image.path),
        image_root=None if record.image.root is None else str(record.image.root),
        image_mimetype=record.image.mime_type,
        image_region=None if record.image.region is None else record.image.region.to_json(),
        image_sha256=record.image.sha256,
    )
    if record.image.elsewhere is not None:
        node._elsewhere = record.image
    return node


def parts_of(node: BaseNode) -> dict[str, Any]:
    """What another node may be given of a node: id, words, relationships, how it is presented."""
    kept = {name: copy(getattr(node, name)) for name in _PARTS if hasattr(node, name)}
    given = {name: value for name, value in kept.items() if value is not None}
    return {**given, "id_": node.node_id, "text": node.get_content(MetadataMode.NONE)}


def is_generated(node: BaseNode) -> bool:
    """Whether a node's text is a caption that a captioner wrote."""
    return generated_by(node.get_content(MetadataMode.NONE), node.metadata) is not None


def marks_hidden(
    metadata: Mapping[str, Any], embed: Sequence[str] = (), llm: Sequence[str] = ()
) -> dict[str, list[str]]:
    """What a node is not to embed, and not to write out for a model, if its caption is marked.

    That a caption is generated is said in the fence; its marks are no words of it.

    Args:
        metadata: The node's.
        embed: What is not embedded already.
        llm: What is not shown already.
    """
    marks = [key for key in MARKS if key in metadata]
    if not marks:
        return {}
    return {
        "excluded_embed_metadata_keys": list(dict.fromkeys([*embed, *marks])),
        "excluded_llm_metadata_keys": list(dict.fromkeys([*llm, *marks])),
    }


def words_of(node: BaseNode, metadata_mode: MetadataMode) -> str:
    """A node's metadata and text as they are, not fenced."""
    if isinstance(node, FoundText):
        return node.words(metadata_mode)
    return node.get_content(metadata_mode)
