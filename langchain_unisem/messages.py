"""`format_documents`: what a chat model is shown of the documents that a search found."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from langchain_core.documents import Document
from langchain_core.messages.content import ContentBlock, ImageContentBlock, TextContentBlock

from langchain_unisem.documents import check_documents, items_of
from unisem.images.for_models import ImageLimits, ModelImage
from unisem.presentation.parts import Part, listed
from unisem.space import SemanticSpace


def format_documents(
    documents: Sequence[Document],
    *,
    space: SemanticSpace,
    limits: ImageLimits | None = None,
    metadata_fields: Sequence[str] = (),
) -> list[ContentBlock]:
    """Turn documents into standard content blocks: each text or caption, then its picture.

    Number *n* in the text is ``documents[n - 1]``. Pictures are looked up in the space at this
    moment, by the document's id and the digest of the picture that was found; paths in metadata
    are never opened, since documents may come from anybody. A picture that is gone, replaced,
    damaged or over the limits is left out, the text says so, and the reason is logged. What was
    found twice is shown once.

    Args:
        documents: From a retriever of this space, possibly reranked or cut; others are shown as
            text.
        space: Where the pictures are.
        limits: How many pictures, how large; `ImageLimits` by default.
        metadata_fields: Metadata that the model is shown, where a document has them, so that it
            can cite them: ``["source", "page"]``.

    Returns:
        Blocks for a message's ``content_blocks``. Pictures are base64 with ``mime_type`` and no
        other source. The same documents give the same blocks, so that caches work.

    Raises:
        TypeError: ``documents`` is no sequence of documents, or ``metadata_fields`` no list.
    """
    check_documents(documents)
    if isinstance(metadata_fields, str):
        raise TypeError(f"metadata_fields must be a list, for example [{metadata_fields!r}]")
    items = items_of(documents, space, metadata_fields)
    return blocks_of(listed(items, limits, by="number"))


async def aformat_documents(
    documents: Sequence[Document],
    *,
    space: SemanticSpace,
    limits: ImageLimits | None = None,
    metadata_fields: Sequence[str] = (),
) -> list[ContentBlock]:
    """As `format_documents`, in a thread."""
    return await asyncio.to_thread(
        format_documents, documents, space=space, limits=limits, metadata_fields=metadata_fields
    )


def blocks_of(parts: Iterable[Part]) -> list[ContentBlock]:
    """Translate what a model is shown into content blocks."""
    return [text_block(it) if isinstance(it, str) else image_block(it.image) for it in parts]


def text_block(text: str) -> TextContentBlock:
    """Return a text as a content block with no random id."""
    return TextContentBlock(type="text", text=text)


def image_block(image: ModelImage) -> ImageContentBlock:
    """Return a picture as a content block with exactly one source and no random id."""
    return ImageContentBlock(type="image", base64=image.base64, mime_type=image.mime_type)
