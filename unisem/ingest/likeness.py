"""When two records say the same, and what one is recognised by when its file has another name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from unisem.readers.looks import digest_of_json
from unisem.records import Record

UNSETTLED = "unsettled"
"""The payload's key for what waits for the end of a run, see `unisem.ingest.unsettled`."""


def content_of(record: Record) -> bytes:
    """What a record is recognised by when its file has another name: 16 bytes."""
    image = record.image
    said = f"text {record.text}" if image is None else f"image {image.sha256}"
    return hashlib.blake2b(said.encode(), digest_size=16).digest()


def digest_of_record(record: Record) -> bytes:
    """A digest of all that a stored record says once it is settled, 16 bytes."""
    sha256 = None if record.image is None else record.image.sha256
    payload = {key: value for key, value in record.payload.items() if key != UNSETTLED}
    parts = record.text, sha256, record.metadata, record.source_id, record.links, payload
    return digest_of_json(parts)


def whole_content_of(record: Record) -> tuple[str | None, str | None]:
    """What a record's vectors are made of."""
    return record.text, None if record.image is None else record.image.sha256


def mark_of(record: Record) -> object:
    """What one record of a document says of it."""
    return record.payload.get("document")


def digest_of_document(record: Record) -> str | None:
    """The digest of the document that a record says was read to its end."""
    mark = mark_of(record)
    return mark.get("sha256") if isinstance(mark, Mapping) else None


def without_mark(record: Record) -> dict[str, Any]:
    """A record's payload without what it says of its document."""
    return {key: value for key, value in record.payload.items() if key != "document"}


def differ_by_mark_only(old: Record, new: Record) -> bool:
    """Whether two records are the same but for what they say of their document."""
    bare = (replace(record, payload=without_mark(record)) for record in (old, new))
    return not differ(*bare)


def differ(old: Record, new: Record) -> bool:
    """Whether a record that is stored is to be replaced.

    Args:
        old: As it is stored.
        new: As it is now.
    """
    is_near = old.image is None or old.image.elsewhere is None
    return _essence(new, is_near) != _essence(old, is_near)


def _essence(record: Record, is_near: bool) -> tuple[object, ...]:
    """A record's parts in a form that storing it does not change.

    Args:
        record: The record.
        is_near: Whether the store keeps where its picture lies; one elsewhere keeps the picture.
    """
    image = record.image
    return (
        record.id,
        record.text,
        None if image is None else (image.sha256, image.path if is_near else None),
        record.source_id,
        _plain(record.metadata),
        _plain(record.links),
        _plain(record.payload),
    )


def _plain(value: object) -> object:
    """JSON turns tuples into lists on the way in."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
