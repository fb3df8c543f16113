"""From what was retrieved to what a chat model is shown of it: words, and pictures it can read.

This is the last moment at which a reference becomes bytes. A picture that has vanished or is
damaged costs its own place only: the caption stays, and the reason is kept beside it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from unisem.captions import is_generated
from unisem.errors import ImageError
from unisem.images.for_models import ImageLimits, ModelImage, image_for_model
from unisem.images.reference import ImageRef
from unisem.presentation.fence import result
from unisem.records import Record

_LOGGER = logging.getLogger(__name__)

LEFT_OUT = "is left out"
"""How it is said that a picture is beyond the limits; goes on from "its picture …"."""
UNKNOWN = "cannot be shown"
"""Of a picture that something refers to, and the space does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One retrieved thing, before its picture is read.

    Attributes:
        text: Its text, or its picture's caption.
        id: The record's id; ``None`` if it is not known.
        metadata: What the model is to know of it.
        generated: Whether its text is a caption that a captioner wrote.
        size: Width and height of its picture in pixels, said where no picture is sent.
        image: Its picture, if it has one that may be read.
        omitted: Why its picture cannot be shown, if that is known already, in words fit for the
            model that go on from "its picture …".
    """

    text: str
    id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    generated: bool = False
    size: tuple[int, int] | None = None
    image: ImageRef | None = None
    omitted: str | None = None

    @classmethod
    def of(cls, record: Record, metadata: Mapping[str, Any]) -> Self:
        """A record with its picture, and what the model is to know of it."""
        image, size = record.image, None
        if image is not None and image.width is not None and image.height is not None:
            size = (image.width, image.height)
        return cls(
            text=record.text or "",
            id=record.id,
            metadata=metadata,
            generated=is_generated(record),
            size=size,
            image=image,
        )


@dataclass(frozen=True, slots=True)
class Content:
    """One retrieved thing as a chat model is shown it.

    Attributes:
        item: What was retrieved.
        image: Its picture, if it has one that could be sent.
        omitted: Why its picture is not sent; ``None`` if it is, or there is none.
    """

    item: Item
    image: ModelImage | None = None
    omitted: str | None = None

    def words(self, where: str | None = None, *, cited: bool = True) -> str:
        """What is said of it, between its tags, and what has become of its picture.

        Args:
            where: Where the picture is, if it is sent; goes on from "its picture …".
            cited: Whether the model is to cite it by its id.
        """
        note = where if self.image is not None else self.omitted
        item = self.item
        text = result(
            item.text,
            id=item.id if cited else None,
            metadata=item.metadata,
            generated=item.generated,
        )
        return text if note is None else f"{text} (its picture {note})"


def byte_share(items: Iterable[Item], limits: ImageLimits) -> int:
    """Bytes that each picture may have, so that all that are sent stay within the limit."""
    pictures = sum(item.image is not None and item.omitted is None for item in items)
    return limits.bytes // max(1, min(limits.count, pictures))


def contents(items: Iterable[Item], limits: ImageLimits | None = None) -> Iterator[Content]:
    """Yield each thing with its picture, while the limits allow, best-ranked first.

    What cannot be read takes no place from the others, and is logged.
    """
    items, limits = list(items), limits or ImageLimits()
    share = byte_share(items, limits)
    count = 0
    for item in items:
        if item.image is None or item.omitted is not None:
            yield Content(item, None, item.omitted)
        elif count >= limits.count:
            yield Content(item, None, left_out(limits.count))
        else:
            try:
                image = image_for_model(
                    item.image, side=limits.side, max_bytes=share, regions=limits.regions
                )
            except ImageError as error:
                _LOGGER.warning("the picture of %r is not sent: %s", item.id, error)
                yield Content(item, None, error.summary)
                continue
            count += 1
            yield Content(item, image)


def left_out(count: int) -> str:
    """What is said of a picture when so many may be sent; goes on from "its picture …"."""
    return f"{LEFT_OUT}: only {count} pictures are sent"


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


def image_found(record: Record | None, sha256: str) -> ImageRef | str:
    """Return the picture that a search found, or what has become of it, in words for the model.

    Args:
        record: What has the id now, if anything has.
        sha256: Digest of the picture that was found.
    """
    if record is None or record.image is None:
        return "has been deleted"
    return record.image if record.image.sha256 == sha256 else "has been replaced by another"
