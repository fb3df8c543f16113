"""`image_document`: a document that stands for a picture, which a store takes in as a picture.

A document has no place for pixels, and code on its way to a store copies only text, id and
metadata. So a picture travels as a reference in two metadata keys: where the file is, and the
SHA-256 of its bytes. A store opens the file only if it lies in the store's own picture folders, and
keeps the record only if the bytes have that digest: whoever writes a document cannot make a store
show a file whose content they do not know already.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from langchain_core.documents import Document

from langchain_unisem.metadata import (
    IMAGE_KEY,
    MIME_TYPE_KEY,
    REGION_KEY,
    SHA256_KEY,
    image_digest,
    own_metadata,
    set_aside,
)
from unisem.errors import ImageError, RecordError
from unisem.images.reference import ImageRef
from unisem.images.region import Region
from unisem.ingest.intake import Intake

_DIGEST = re.compile(r"[0-9a-f]{64}")


def image_document(
    image: ImageRef | str | os.PathLike[str],
    *,
    caption: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    id: str | None = None,
) -> Document:
    """Return a document that `UniSemVectorStore.add_documents` stores as a picture.

    Args:
        image: A path, which is read; or a reference that has been inspected, which is not.
        caption: Becomes ``page_content``; ``""`` without one.
        metadata: JSON values. The keys ``unisem_image``, ``sha256`` and ``mime_type`` are added,
            and ``unisem_region`` for a part of a page;
            a value of yours under one of these names comes as ``original_sha256`` and so on,
            unless the metadata are those of an earlier document of a picture.
        id: As of every document.

    Raises:
        ImageError: The picture cannot be used; or it is bytes, which a document cannot hold.
    """
    reference = ImageRef.of(image)
    if reference.path is None:
        raise ImageError(
            reference.name,
            "has no file",
            "; a document only refers to its picture. Use UniSemVectorStore.add_images, or "
            "ImageBlobParser(space=…), which keeps the bytes in the space",
        )
    if reference.sha256 is None:
        reference = Intake().inspect(reference)
    own = dict(metadata or {})
    if IMAGE_KEY not in own:
        set_aside(own, (SHA256_KEY, MIME_TYPE_KEY))
    ours: dict[str, Any] = {
        IMAGE_KEY: os.path.abspath(reference.path or ""),
        SHA256_KEY: reference.sha256,
        MIME_TYPE_KEY: reference.mime_type,
    }
    if reference.region is not None:
        ours[REGION_KEY] = reference.region.to_json()
    return Document(id=id, page_content=caption or "", metadata=own | ours)


def image_of(document: Document) -> ImageRef | None:
    """The picture that a document refers to, with the digest it must have; ``None`` for a text.

    Nothing is opened.

    Raises:
        RecordError: The reference is incomplete.
    """
    place = document.metadata.get(IMAGE_KEY)
    if place is None:
        return None
    digest = document.metadata.get(SHA256_KEY)
    if not isinstance(place, str) or not place:
        raise RecordError(
            f"document {document.id!r}: metadata[{IMAGE_KEY!r}] must be a path, not {place!r}"
        )
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise RecordError(
            f"document {document.id!r} refers to a picture without its digest in "
            f"metadata[{SHA256_KEY!r}]; make it with image_document or a loader, or remove "
            f"metadata[{IMAGE_KEY!r}] to store the caption alone"
        )
    region = document.metadata.get(REGION_KEY)
    try:
        part = None if region is None else Region.from_json(region)
    except ImageError as error:
        raise RecordError(f"document {document.id!r}: metadata[{REGION_KEY!r}]: {error}") from error
    return ImageRef(path=Path(place), sha256=digest, region=part)


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
        metadata.pop(REGION_KEY, None)
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
