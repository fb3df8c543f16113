"""What a generated caption is marked by, so that nobody takes it for a person's.

Two keys of a record's metadata say so: ``caption_generated_by``, the captioner's name, and
``caption_sha256``, the digest of the text that it wrote. A caption that a person has changed since
has another digest, and is theirs.

A caption that a person wrote and that no file has is marked in the record's payload, so that
reading the file again does not take it away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from unisem.records import Record

GENERATED_BY = "caption_generated_by"
"""The metadata's key for the name of the captioner."""
CAPTION_SHA256 = "caption_sha256"
"""The metadata's key for the hex digest of the caption, in UTF-8."""
MARKS = (GENERATED_BY, CAPTION_SHA256)
_WRITTEN_HERE = "caption_written_here"  # key of payloads


def marks_of(caption: str, captioner: str) -> dict[str, str]:
    """The metadata that say of a caption that a captioner wrote it.

    >>> sorted(marks_of("a tiger", "blip"))
    ['caption_generated_by', 'caption_sha256']
    """
    return {GENERATED_BY: captioner, CAPTION_SHA256: hashlib.sha256(caption.encode()).hexdigest()}


def generated_by(text: str | None, metadata: Mapping[str, Any]) -> str | None:
    """The name of the captioner that wrote a text; ``None`` if a person did, or has changed it.

    Args:
        text: The caption.
        metadata: Those of its record, document or node.

    >>> generated_by("a tiger", marks_of("a tiger", "blip"))
    'blip'
    >>> generated_by("Tom, our tiger", marks_of("a tiger", "blip"))
    """
    name, digest = (metadata.get(key) for key in MARKS)
    if not text or not isinstance(name, str) or not isinstance(digest, str):
        return None
    if hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() != digest:
        return None
    return name


def is_generated(record: Record) -> bool:
    """Whether a record's caption is a captioner's, as it was written."""
    return record.image is not None and bool(generated_by(record.text, record.metadata))


def lacks_caption(record: Record) -> bool:
    """Whether a record is a picture without words."""
    return record.image is not None and not (record.text or "").strip()


def with_caption(record: Record, caption: str, captioner: str) -> Record:
    """Return the same record with a caption that is marked as generated."""
    metadata = {**record.metadata, **marks_of(caption, captioner)}
    return replace(record, text=caption, metadata=metadata)


def without_caption(record: Record) -> Record:
    """Return a picture's record without its caption and marks."""
    metadata = {key: value for key, value in record.metadata.items() if key not in MARKS}
    return replace(record, text=None, metadata=metadata)


def with_own_caption(record: Record, caption: str | None, *, in_file: bool) -> Record:
    """Return the same record with a person's caption, and no mark of a generated one.

    Args:
        record: A picture's.
        caption: The caption; ``None`` for a picture without words.
        in_file: Whether a file has the caption, and says when it is there no more.
    """
    payload = {key: value for key, value in record.payload.items() if key != _WRITTEN_HERE}
    if caption is not None and not in_file:
        payload[_WRITTEN_HERE] = True
    return replace(without_caption(record), text=caption, payload=payload)


def is_of_no_file(record: Record) -> bool:
    """Whether a picture's caption was generated, or written by a person here."""
    return is_generated(record) or (record.image is not None and _WRITTEN_HERE in record.payload)


def keeping_caption(old: Record, new: Record) -> Record:
    """What replaces a record: with the caption that no file has, if it is of the same picture.

    Args:
        old: As it is stored, with a generated caption, or one that a person wrote here.
        new: What its file says now, its picture inspected.
    """
    if not lacks_caption(new) or lacks_caption(old) or old.image is None or new.image is None:
        return new
    if old.image.sha256 != new.image.sha256:
        return new
    writer = generated_by(old.text, old.metadata)
    if writer is not None:
        return with_caption(new, old.text or "", writer)
    if _WRITTEN_HERE in old.payload:
        return with_own_caption(new, old.text, in_file=False)
    return new
