"""From what a vector store is given to records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

from langchain_core.documents import Document

from unisem.images import ImageSource, sources_as_list
from unisem.records import Record

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
        RecordError: An id or metadata that cannot be kept; names it.
    """
    if isinstance(texts, str):
        raise TypeError("pass a list of texts, for example [text]")
    items = list(texts)
    for position, text in enumerate(items):
        if not isinstance(text, str):
            raise TypeError(f"texts[{position}] must be a string, not {type(text).__name__}")
    return [
        Record(id=name, text=text, metadata=metadata)
        for text, metadata, name in zip(
            items, _each(metadatas, "metadatas", items), _ids(ids, items), strict=True
        )
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
    items = sources_as_list(images)
    return [
        Record(id=name, image=image, text=caption, metadata=metadata)
        for image, caption, metadata, name in zip(
            items,
            _each(captions, "captions", items),
            _each(metadatas, "metadatas", items),
            _ids(ids, items),
            strict=True,
        )
    ]


def records_of_documents(
    documents: Iterable[Document], ids: Sequence[str | None] | None
) -> list[Record]:
    """One record for each document; an id of ``ids`` goes before the document's own."""
    items = list(documents)
    for position, item in enumerate(items):
        if not isinstance(item, Document):
            raise TypeError(f"documents[{position}] must be a Document, not {type(item).__name__}")
    names = [
        document.id if name is None else name
        for document, name in zip(items, _each(ids, "ids", items), strict=True)
    ]
    return records_of_texts(
        [document.page_content for document in items],
        [document.metadata for document in items],
        names,
    )


def last_of_each_id(records: Iterable[Record]) -> list[Record]:
    """Of an id given twice the last record, at its place; the others need no embedding."""
    kept: dict[str, Record] = {}
    for record in records:
        kept.pop(record.id, None)
        kept[record.id] = record
    return list(kept.values())


def _ids(ids: Sequence[str | None] | None, items: Sequence[object]) -> list[str]:
    return [uuid4().hex if name is None else name for name in _each(ids, "ids", items)]


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
