"""`format_documents`: what a chat model is shown of the documents that a search found."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from langchain_core.documents import Document
from langchain_core.messages.content import ContentBlock, ImageContentBlock, TextContentBlock

from langchain_unisem.documents import identity, records_found
from langchain_unisem.metadata import details_of, image_digest, own_metadata
from unisem.images.for_models import ImageLimits, ModelImage
from unisem.presentation import RULES, result
from unisem.presentation.contents import Content, contents
from unisem.space import SemanticSpace

_LOGGER = logging.getLogger(__name__)

_HEADER = (
    f"Search results, numbered. {RULES} "
    "A picture belongs to the number before it. Cite what you use by its number, like [1]."
)
_NOTHING = "The search found nothing."


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
    if not _are_documents(documents):
        raise TypeError(
            "documents must be a list of langchain_core.documents.Document, as a retriever returns"
        )
    if isinstance(metadata_fields, str):
        raise TypeError(f"metadata_fields must be a list, for example [{metadata_fields!r}]")
    if not documents:
        return [text_block(_NOTHING)]
    records = records_found(documents, space)
    things: dict[object, int] = {}
    pictures: dict[str, int] = {}
    firsts = [things.setdefault(identity(it) or n, n) for n, it in enumerate(documents, 1)]
    places = [pictures.setdefault(it.id, n) if it else None for n, it in enumerate(records, 1)]
    shown = contents([it for n, it in enumerate(records, 1) if it and places[n - 1] == n], limits)
    blocks: list[ContentBlock] = [text_block(_HEADER)]
    for number, (document, place) in enumerate(zip(documents, places, strict=True), 1):
        if (first := firsts[number - 1]) < number:
            blocks.append(text_block(f"[{number}] (the same as [{first}])"))
            continue
        content = next(shown) if place == number else None
        text = _label(document, content, place, metadata_fields)
        blocks.append(text_block(f"[{number}] {text}"))
        if content is not None and content.image is not None:
            blocks.append(image_block(content.image))
    return blocks


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


def text_block(text: str) -> TextContentBlock:
    """Return a text as a content block with no random id."""
    return TextContentBlock(type="text", text=text)


def image_block(image: ModelImage) -> ImageContentBlock:
    """Return a picture as a content block with exactly one source and no random id."""
    return ImageContentBlock(type="image", base64=image.base64, mime_type=image.mime_type)


def _label(
    document: Document, content: Content | None, place: int | None, metadata_fields: Sequence[str]
) -> str:
    own = own_metadata(document.metadata)
    cited = {name: own[name] for name in metadata_fields if name in own}
    label = result(document.page_content, metadata=cited)
    if content is not None and content.image is not None:
        return label if document.page_content or cited else "(a picture without caption)"
    if content is not None and content.omitted is not None:
        reason = content.error or content.omitted
        _LOGGER.warning("the picture of %r is not sent: %s", document.id, reason)
        return f"{label} (its picture {content.omitted})"
    if place is not None:
        return f"{label} (its picture is that of [{place}])"
    if _had_picture(document):
        return f"{label} (its picture cannot be shown)"
    return label


def _had_picture(document: Document) -> bool:
    details = details_of(document.metadata) or {}
    return details.get("modality") == "image" or image_digest(document.metadata) is not None


def _are_documents(value: object) -> bool:
    return isinstance(value, Sequence) and all(isinstance(item, Document) for item in value)
