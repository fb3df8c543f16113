"""From what a vector store is given to records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
from langchain_core.documents import Document

from langchain_unisem.image_documents import image_of
from langchain_unisem.metadata import (
    DETAILS_KEY,
    IMAGE_KEY,
    SCORE_KEY,
    image_digest,
    own_metadata,
)
from unisem.errors import RecordError, VectorError
from unisem.images.reference import ImageRef, ImageSource, sources_as_list
from unisem.presentation.contents import as_found
from unisem.records import EmbeddedRecord, Record, Vector
from unisem.space import SemanticSpace
from unisem.stores.vectors import unit

_Item = TypeVar("_Item")


def records_of_texts(
    texts: Iterable[str],
    metadatas: Sequence[Mapping[str, Any] | None] | None,
    ids: Sequence[str | None] | None,
) -> list[Record]:
    """One record for each text; ids that are ``None`` are made up.

    Raises:
        TypeError: ``texts`` is one string, or an item is no string.
        ValueError: There are fewer or more metadatas or ids than texts.
        RecordError: An id or metadata that cannot be kept; names it and the text's position.
    """
    if isinstance(texts, str):
        raise TypeError("pass a list of texts, for example [text]")
    items = list(texts)
    for position, text in enumerate(items):
        if not isinstance(text, str):
            raise TypeError(f"texts[{position}] must be a string, not {type(text).__name__}")
    parts = zip(items, _metadatas(metadatas, items), _ids(ids, items), strict=True)
    return [
        _record(f"texts[{position}]", id=name, text=text, metadata=metadata)
        for position, (text, metadata, name) in enumerate(parts)
    ]


def records_of_images(
    images: Iterable[ImageSource],
    captions: Sequence[str | None] | None,
    metadatas: Sequence[Mapping[str, Any] | None] | None,
    ids: Sequence[str | None] | None,
) -> list[Record]:
    """One record for each picture, as `records_of_texts`.

    Raises:
        ImageError: A URL, or what is no picture.
    """
    # What the caller gives now counts, whatever digest a reference from a search still has.
    items = [replace(ImageRef.of(image), sha256=None) for image in sources_as_list(images)]
    parts = zip(
        items,
        _each(captions, "captions", items),
        _metadatas(metadatas, items),
        _ids(ids, items),
        strict=True,
    )
    return [
        _record(f"images[{position}]", id=name, image=image, text=caption, metadata=metadata)
        for position, (image, caption, metadata, name) in enumerate(parts)
    ]


def records_of_documents(
    documents: Iterable[Document], ids: Sequence[str | None] | None, space: SemanticSpace
) -> list[Record]:
    """One record for each document; an id of ``ids`` goes before the document's own.

    A document that refers to a picture's file gives a record with that picture, whose reference
    has the digest that the file must have. One that a search found as a picture gives that record
    with the document's text and metadata. What a search has added is left out.

    Raises:
        TypeError: An item is no document.
        RecordError: As `records_of_texts`, an incomplete reference to a picture, a picture that
            the space does not have under the document's id, or one that was cut to pieces.
    """
    items = _documents(documents)
    names = [
        document.id if name is None else name
        for document, name in zip(items, _each(ids, "ids", items), strict=True)
    ]
    _check_pieces(items, names)
    wanted = _ids(names, items)
    parts = zip(items, wanted, space.get(wanted), strict=True)
    return [
        _record_of(document, name, known, f"documents[{position}]")
        for position, (document, name, known) in enumerate(parts)
    ]


def embedded_of_texts(
    text_embeddings: Iterable[tuple[str, Sequence[float]]],
    metadatas: Sequence[Mapping[str, Any] | None] | None,
    ids: Sequence[str | None] | None,
    dimension: int,
) -> list[EmbeddedRecord]:
    """One record for each text with its vector, scaled to length 1.

    Raises:
        TypeError: An item is no pair of a text and a vector.
        ValueError: A vector of another dimension, of length zero or not finite; names it.
        RecordError: As `records_of_texts`.
    """
    pairs = list(text_embeddings)
    for position, pair in enumerate(pairs):
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise TypeError(f"text_embeddings[{position}] must be a pair of a text and a vector")
    records = records_of_texts([text for text, _ in pairs], metadatas, ids)
    return [
        EmbeddedRecord(record, {"text": _vector(vector, dimension, position)})
        for position, (record, (_, vector)) in enumerate(zip(records, pairs, strict=True))
    ]


def last_of_each_id(records: Iterable[Record]) -> list[Record]:
    """Of an id given twice the last record, at its place; the others need no embedding."""
    kept: dict[str, Record] = {}
    for record in records:
        kept.pop(record.id, None)
        kept[record.id] = record
    return list(kept.values())


def _documents(given: Any) -> list[Document]:
    if isinstance(given, Document | str):
        raise TypeError("pass a list of documents, for example [document]")
    items = list(given)
    for position, item in enumerate(items):
        if not isinstance(item, Document):
            raise TypeError(f"documents[{position}] must be a Document, not {type(item).__name__}")
    return items


def _check_pieces(documents: Sequence[Document], names: Sequence[str | None]) -> None:
    """Refuse what a splitter makes of a picture with a long caption: many pictures, all the same.

    Raises:
        RecordError: Two documents without ids refer to one picture; names them.
    """
    seen: dict[str, int] = {}
    for position, (document, name) in enumerate(zip(documents, names, strict=True)):
        place = document.metadata.get(IMAGE_KEY)
        if name is not None or not isinstance(place, str):
            continue
        if (first := seen.setdefault(place, position)) != position:
            raise RecordError(
                f"documents[{first}] and documents[{position}] are one picture and have no ids; if "
                "a splitter has cut its caption put langchain_unisem.TextsOnly round it, else give "
                "them ids"
            )


def _record_of(document: Document, name: str, known: Record | None, place: str) -> Record:
    image = image_of(document)
    text: str | None = document.page_content
    metadata = own_metadata(document.metadata)
    scored = isinstance(metadata.get(SCORE_KEY), float)
    if scored and known is not None and SCORE_KEY not in known.metadata:
        del metadata[SCORE_KEY]  # a reranker's, whose document the store has without it
    digest = image_digest(document.metadata)
    if image is None and digest is not None:
        found = as_found(known, digest)
        if found is None:
            raise RecordError(
                f"{place}: was found as a picture, which this store does not have under the id "
                f"{name!r}; add that with add_images, or remove metadata[{DETAILS_KEY!r}] to "
                "store the caption alone"
            )
        image = found.image
    if image is not None:
        text = text or None
    record = _record(place, id=name, text=text, image=image, metadata=metadata)
    if known is None or known.modality != record.modality:
        return record
    return _updated(known, record)


def _updated(known: Record, record: Record) -> Record:
    """The record with what a document cannot say of it: where it comes from, its neighbours."""
    return Record(
        id=record.id,
        text=record.text,
        image=record.image,
        metadata=record.metadata,
        source_id=known.source_id,
        links=known.links,
        payload=known.payload if known.text == record.text else None,
    )


def _record(
    place: str,
    *,
    id: str,
    text: str | None,
    metadata: Mapping[str, Any] | None,
    image: ImageRef | None = None,
) -> Record:
    """A record; what is wrong with it is said with its place, as its id may be made up."""
    try:
        return Record(id=id, text=text, image=image, metadata=metadata)
    except RecordError as error:
        raise RecordError(f"{place}: {error}") from error


def _vector(values: Sequence[float], dimension: int, position: int) -> Vector:
    label = f"the vector of text_embeddings[{position}]"
    try:
        shape = np.shape(values)
    except ValueError:  # rows of different lengths
        raise VectorError(f"{label} is no list of numbers") from None
    if shape != (dimension,):
        raise VectorError(
            f"{label} has the shape {shape}; this store's embeddings make {(dimension,)}"
        )
    return unit(values, label)


def _ids(ids: Sequence[str | None] | None, items: Sequence[object]) -> list[str]:
    return [uuid4().hex if name is None else name for name in _each(ids, "ids", items)]


def _metadatas(
    metadatas: Sequence[Mapping[str, Any] | None] | None, items: Sequence[object]
) -> list[Mapping[str, Any] | None]:
    given = _each(metadatas, "metadatas", items)
    for position, metadata in enumerate(given):
        if metadata is not None and not isinstance(metadata, Mapping):
            raise TypeError(
                f"metadatas[{position}] must be a dictionary, not {type(metadata).__name__}"
            )
    return given


def _each(
    values: Sequence[_Item | None] | None, label: str, items: Sequence[object]
) -> list[_Item | None]:
    if values is None:
        return [None] * len(items)
    if isinstance(values, str | Mapping):
        raise TypeError(f"{label} must be a list, not {type(values).__name__}")
    given = list(values)
    if len(given) != len(items):
        raise ValueError(f"got {len(given)} {label} for {len(items)} inputs; give one for each")
    return given
