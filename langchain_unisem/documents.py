"""From a space's records to LangChain's documents: texts and references, never pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import PurePosixPath, PureWindowsPath

from langchain_core.documents import Document

from langchain_unisem.metadata import (
    COPIES,
    DETAILS_KEY,
    add_details,
    details_of,
    image_digest,
    own_metadata,
    record_details,
    record_id,
    way_of,
)
from unisem.captions import generated_by
from unisem.presentation.citation import told
from unisem.presentation.contents import UNKNOWN, Item, as_found
from unisem.records import Record
from unisem.space import SemanticSpace
from unisem.stores.hits import Hit


def record_to_document(record: Record) -> Document:
    """Return a record as a new document that shares nothing with it.

    The text or caption is ``page_content`` (``""`` if there is none), the id stays the id, and
    the metadata is the record's own; that of a picture has in ``metadata["unisem"]`` which
    picture it is, unless the record's own metadata say so.
    """
    document = _document(record)
    image = record.image
    if image is not None and image_digest(document.metadata) != image.sha256:
        add_details(document.metadata, record_details(record), None)
    return document


def found_to_document(record: Record, unique_key: str | None = None) -> Document:
    """Return a record that a search found as a document that no search's score makes different.

    Args:
        record: The record.
        unique_key: As for `add_details`; without it a text has no details.
    """
    document = _document(record)
    if record.image is not None or unique_key is not None:
        add_details(document.metadata, record_details(record), None, unique_key)
    return document


def stored_hit_to_document(hit: Hit) -> Document:
    """Return a hit as `record_to_document` returns its record, with the ids of its copies.

    These are ``metadata["unisem"]["copies"]``, as a retriever has them, where there are some.
    """
    document = record_to_document(hit.record)
    if hit.copies:
        details = details_of(document.metadata)
        if details is None:
            details = record_details(hit.record)
            add_details(document.metadata, details, None)
        document.metadata[DETAILS_KEY] = {**details, COPIES: [copy.id for copy in hit.copies]}
    return document


def relevance(cosine: float) -> float:
    """Scale a cosine to LangChain's relevance: 0 (opposite) to 1 (same), as a Python float."""
    return min(1.0, max(0.0, (1.0 + float(cosine)) / 2.0))


def hit_to_document(
    hit: Hit,
    scale: Callable[[float], float] | None = relevance,
    unique_key: str | None = None,
    **search: str,
) -> Document:
    """Return a hit as a document, its score and details as JSON in two metadata keys.

    Args:
        hit: The hit.
        scale: From the hit's score to ``metadata["relevance_score"]``; ``None`` for a score that
            no reader of that key would understand, which then has no such key.
        unique_key: As for `add_details`.
        **search: What else to say of the search.
    """
    record, document = hit.record, _document(hit.record)
    details = record_details(record) | {"matched": hit.matched, "score": float(hit.score)}
    if hit.relevance is not None:
        details["relevance"] = hit.relevance
    if hit.judged is not None:
        details["judged"] = hit.judged
    if hit.path:
        details["path"] = list(hit.path)
    if hit.copies:
        details[COPIES] = [copy.id for copy in hit.copies]
    if record.source_id is not None and not _is_place(record.source_id):
        details["source_id"] = record.source_id
    score = None if scale is None else scale(hit.score)
    add_details(document.metadata, {**details, **search}, score, unique_key)
    return document


def records_found(documents: Sequence[Document], space: SemanticSpace) -> list[Record | None]:
    """The record of each document whose picture is the one that the document was found with.

    Documents whose ids were dropped on the way are known by the id that the search noted.

    Returns:
        ``None`` for texts, and where the space has no such picture under the document's id, or
        another one.
    """
    known = space.get([record_id(document) or "" for document in documents])
    return [
        as_found(record, image_digest(document.metadata))
        for document, record in zip(documents, known, strict=True)
    ]


def items_of(
    documents: Sequence[Document], space: SemanticSpace, metadata_fields: Sequence[str] = ()
) -> list[Item]:
    """Documents as they are to be shown, each with its picture if the space has that one.

    Args:
        documents: From anybody; paths in metadata are never opened.
        space: Where the pictures are.
        metadata_fields: What the model is to know of them, where they have it.
    """
    items = []
    for document, record in zip(documents, records_found(documents, space), strict=True):
        own = own_metadata(document.metadata)
        item = Item(
            text=document.page_content,
            id=record_id(document),
            generated=generated_by(document.page_content, own) is not None,
            metadata=told(own, metadata_fields) | way_of(document.metadata),
            image=None if record is None else record.image,
            omitted=UNKNOWN if record is None and _had_picture(document) else None,
        )
        items.append(item)
    return items


def check_documents(value: object) -> None:
    """Refuse what is no list of documents.

    Raises:
        TypeError: Says so.
    """
    if not isinstance(value, Sequence) or not all(isinstance(item, Document) for item in value):
        raise TypeError(
            "documents must be a list of langchain_core.documents.Document, as a retriever returns"
        )


def identity(document: Document) -> tuple[str, str, str | None] | None:
    """What is equal for two documents that are the same thing; ``None`` if that is not known."""
    name = record_id(document)
    if name is None:
        return None
    return name, document.page_content, image_digest(document.metadata)


def each_once(documents: Sequence[Document]) -> list[Document]:
    """The documents without those that are the same thing as an earlier one."""
    kept: dict[object, Document] = {}
    for place, document in enumerate(documents):
        kept.setdefault(identity(document) or place, document)
    return list(kept.values())


def _document(record: Record) -> Document:
    return Document(
        id=record.id, page_content=record.text or "", metadata=deepcopy(dict(record.metadata))
    )


def _had_picture(document: Document) -> bool:
    details = details_of(document.metadata) or {}
    return details.get("modality") == "image" or image_digest(document.metadata) is not None


def _is_place(source_id: str) -> bool:
    """Whether it is a place on this machine, which is nobody's business elsewhere."""
    return PurePosixPath(source_id).is_absolute() or PureWindowsPath(source_id).is_absolute()
