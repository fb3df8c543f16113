"""From records to what a chat model is shown: captions, and pictures it can read.

This is the last moment at which a reference becomes bytes. A picture that has vanished or is
damaged costs its own place only: the caption stays, and the reason is kept beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from unisem.errors import ImageError
from unisem.images.for_models import ImageLimits, ModelImage, image_for_model
from unisem.records import Record


@dataclass(frozen=True, slots=True)
class Content:
    """One record as a chat model is shown it.

    Attributes:
        record: The record.
        image: Its picture, if it has one that could be sent.
        omitted: Why a record's picture is not sent, in words fit for the model that go on from
            "its picture …"; ``None`` if it is sent, or there is none.
        error: What went wrong with the picture, for the log.
    """

    record: Record
    image: ModelImage | None
    omitted: str | None = None
    error: ImageError | None = None


def as_found(record: Record | None, sha256: str | None) -> Record | None:
    """Return a record if its picture is the one that a search found; ``None`` if it is another.

    An id outlives what it names: a record may have been replaced since, and two spaces may use
    the same ids. A picture is shown beside what was found only if the digest says so, too.

    Args:
        record: What has the id now, if anything has.
        sha256: Digest of the picture that was found; ``None`` if a text was.
    """
    if record is None or record.image is None or sha256 is None:
        return None
    return record if record.image.sha256 == sha256 else None


def contents(records: Iterable[Record], limits: ImageLimits | None = None) -> Iterator[Content]:
    """Yield each record with its picture, while the limits allow, best-ranked first."""
    limits = limits or ImageLimits()
    count = 0
    for record in records:
        if record.image is None:
            yield Content(record, None)
        elif count >= limits.count:
            yield Content(record, None, f"is left out: only {limits.count} pictures are sent")
        else:
            try:
                image = image_for_model(record.image, side=limits.side, max_bytes=limits.share)
            except ImageError as error:
                yield Content(record, None, error.summary, error)
                continue
            count += 1
            yield Content(record, image)
