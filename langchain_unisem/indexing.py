"""`image_key`: what tells LangChain's indexing API that a picture has changed."""

from __future__ import annotations

import hashlib
import json

from langchain_core.documents import Document

from langchain_unisem.image_documents import image_of
from langchain_unisem.metadata import IMAGE_KEY, image_digest, own_metadata


def image_key(document: Document) -> str:
    """Digest of a document's text, metadata and picture, for ``index(…, key_encoder=image_key)``.

    The key changes with the text or caption, with any metadata, and with the bytes of the picture.
    It does not change with the order of metadata, with what a search has added to them, or with
    the place where a space keeps the picture. Texts and pictures may be mixed.

    Args:
        document: From a loader, from `image_document`, or a text.

    Returns:
        64 hex digits, SHA-256.

    Raises:
        ValueError: Metadata that are not JSON, or an incomplete reference to a picture.

    >>> image_key(Document("a", metadata={"x": 1, "y": 2}))[:8]
    '8b1978c0'
    >>> image_key(Document("a", metadata={"y": 2, "x": 1}))[:8]
    '8b1978c0'
    """
    image = image_of(document)
    metadata = own_metadata(document.metadata)
    if image is not None:
        del metadata[IMAGE_KEY]
    digest = image_digest(document.metadata) if image is None else image.sha256
    parts = [document.page_content, metadata, digest]
    try:
        text = json.dumps(parts, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"document {document.id!r} has metadata that are not JSON ({error}); "
            "convert them to strings, numbers, booleans, lists or dictionaries"
        ) from error
    return hashlib.sha256(text.encode()).hexdigest()
