"""From what a vector store is given to records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
from langchain_core.documents import Document

from langchain_unisem.picture_documents import picture_of
from unisem.errors import RecordError, VectorError
from unisem.images.reference import ImageRef, ImageSource, sources_as_list
from unisem.records import EmbeddedRecord, Record, Vector
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
    documents: Iterable[Document], ids: Sequence[str | None] | None
) -> list[Record]:
    """One record for each document; an id of ``ids`` goes before the document's own.

    A document that refers to a picture gives a record with that picture, whose reference has the
    digest that the file must have.

    Raises:
        TypeError: An item is no document.
        RecordError: As `records_of_texts`, or an incomplete reference to a picture.
    """
    items = _documents(documents)
    names = [
        document.id if name is None else name
        for document, name in zip(items, _each(ids, "ids", items), strict=True)
    ]
    return [
        _record_of(document, name, f"documents[{position}]")
        for position, (document, name) in enumerate(zip(items, _ids(names, items), strict=True))
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


def _record_of(document: Document, name: str, place: str) -> Record:
    image = picture_of(document)
    text = document.page_content
    return _record(
        place,
        id=name,
        text=text or None if image is not None else text,
        image=image,
        metadata=document.metadata,
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
