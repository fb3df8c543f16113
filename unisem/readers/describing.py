"""`described`: a picture's record with what its file, and XMP beside it, know of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from unisem.images.facts.file_facts import facts_of
from unisem.readers.companions import read_xmp, xmp_of
from unisem.records import Record


def described(record: Record, data: bytes, file: Path | None, *, location: bool = True) -> Record:
    """Add size and `FileFacts` to a record's metadata, and their words if it has no text.

    What the record says already stays.

    Args:
        record: The record, its picture inspected.
        data: The bytes of the picture's file.
        file: Where that lies, for a sidecar beside it; ``None`` if it lies nowhere.
        location: Whether the place where it was taken is among it.
    """
    image = record.image
    if image is None:
        return record
    sidecar = None if file is None else xmp_of(file)
    beside = b"" if sidecar is None else read_xmp(sidecar, sidecar.parent)
    facts = facts_of(data, beside)
    known = {"width": image.width, "height": image.height} | facts.metadata(location=location)
    new = {name: value for name, value in known.items() if name not in record.metadata}
    return replace(record, text=record.text or facts.words, metadata={**record.metadata, **new})
