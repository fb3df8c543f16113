"""From records to what a chat model is shown: captions, and pictures it can read.

This is the last moment at which a reference becomes bytes. A picture that has vanished or is
damaged costs its own place only: the caption stays, and the reason is kept beside it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO

from PIL import Image

from unisem.decoding import decode_image, inspect_image
from unisem.errors import ImageError
from unisem.images import ImageRef
from unisem.records import Record

READABLE = ("image/jpeg", "image/png", "image/webp", "image/gif")
"""Types that chat models' interfaces accept; pictures of other types are sent as PNG."""

MAX_SIDE = 1536
"""Pixels of a sent picture's longer side, by default; chat models look at no more."""


@dataclass(frozen=True, slots=True)
class ModelImage:
    """A picture as it is sent to a chat model.

    Attributes:
        data: The file's bytes.
        mime_type: One of ``READABLE``.
    """

    data: bytes = field(repr=False)
    mime_type: str

    @property
    def base64(self) -> str:
        """The bytes in base64, without the ``data:`` prefix."""
        return base64.b64encode(self.data).decode("ascii")

    @property
    def data_url(self) -> str:
        """The picture as a ``data:`` URL."""
        return f"data:{self.mime_type};base64,{self.base64}"


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What a message may carry.

    Attributes:
        count: Pictures at most; the best-ranked ones are sent.
        side: Pixels that a picture's longer side may have; larger ones are scaled down.
        bytes: Bytes of all pictures together, before base64.
    """

    count: int = 8
    side: int = MAX_SIDE
    bytes: int = 12_000_000


@dataclass(frozen=True, slots=True)
class Content:
    """One record as a chat model is shown it.

    Attributes:
        record: The record.
        image: Its picture, if it has one that could be sent.
        omitted: Why a record's picture is not sent; ``None`` if it is, or there is none.
    """

    record: Record
    image: ModelImage | None
    omitted: str | None = None


def image_for_model(image: ImageRef, *, side: int = MAX_SIDE) -> ModelImage:
    """Read a picture for a chat model.

    The file's own bytes are sent if a model can read them: an accepted type, upright, no side
    longer than ``side``. Otherwise the picture is rotated, scaled down and encoded anew.

    Raises:
        ImageError: The picture cannot be read.
    """
    data = image.read_bytes()
    info = inspect_image(data, image.name)
    if info.mime_type in READABLE and max(info.width, info.height) <= side and _is_upright(data):
        return ModelImage(data, info.mime_type)
    pixels = decode_image(data, image.name, min_side=side)
    pixels.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    if info.mime_type == "image/jpeg":
        pixels.save(buffer, format="JPEG", quality=90)
        return ModelImage(buffer.getvalue(), "image/jpeg")
    pixels.save(buffer, format="PNG", optimize=True)
    return ModelImage(buffer.getvalue(), "image/png")


def contents(records: Iterable[Record], limits: ImageLimits | None = None) -> Iterator[Content]:
    """Yield each record with its picture, while the limits allow, best-ranked first."""
    limits = limits or ImageLimits()
    count = total = 0
    for record in records:
        if record.image is None:
            yield Content(record, None)
            continue
        if count >= limits.count:
            yield Content(record, None, f"only {limits.count} pictures are sent")
            continue
        try:
            image = image_for_model(record.image, side=limits.side)
        except ImageError as error:
            yield Content(record, None, error.reason)
            continue
        if total + len(image.data) > limits.bytes:
            yield Content(record, None, f"only {limits.bytes:,} bytes of pictures are sent")
            continue
        count += 1
        total += len(image.data)
        yield Content(record, image)


def _is_upright(data: bytes) -> bool:
    try:
        with Image.open(BytesIO(data)) as image:
            return bool(image.getexif().get(0x0112, 1) == 1)
    except Exception:  # noqa: BLE001 - a broken EXIF block says nothing about orientation
        return True
