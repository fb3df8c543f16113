"""`image_for_model`: a picture as a chat model can read it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from io import BytesIO
from math import sqrt
from typing import Literal, get_args

from PIL import Image

from unisem.errors import ImageError
from unisem.images.decoding import decode_image, inspect_image
from unisem.images.formats import PHOTOGRAPHS
from unisem.images.reference import ImageRef

READABLE = ("image/jpeg", "image/png", "image/webp", "image/gif")
"""Types that chat models' interfaces accept; others are sent as PNG, photographs as JPEG."""

_JPEG = "image/jpeg"

MAX_SIDE = 1536
"""Pixels of a sent picture's longer side, by default; chat models look at no more."""


MAX_BYTES = 12_000_000
"""Bytes of all pictures of a message, by default."""


Regions = Literal["alone", "on_page"]
"""How a part of a page is shown."""


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
        bytes: Bytes of all pictures together, before base64; each may have an equal share, and
            is scaled down to fit.
        regions: What is sent of a figure that is a part of a PDF's page: ``"alone"``, the figure;
            ``"on_page"``, its page with a frame around it, as `ImageRef.open_page` gives it.
    """

    count: int = 8
    side: int = MAX_SIDE
    bytes: int = MAX_BYTES
    regions: Regions = "alone"

    def __post_init__(self) -> None:
        if self.regions not in get_args(Regions):
            raise ValueError(f'regions must be "alone" or "on_page", not {self.regions!r}')

    @property
    def share(self) -> int:
        """Bytes that one picture may have."""
        return self.bytes // max(1, self.count)


def image_for_model(
    image: ImageRef,
    *,
    side: int = MAX_SIDE,
    max_bytes: int = MAX_BYTES,
    regions: Regions = "alone",
) -> ModelImage:
    """Read a picture for a chat model.

    The file's own bytes are sent if a model can read them: an accepted type, upright, no side
    longer than ``side``. Otherwise the picture is rotated, scaled down and encoded anew. What has
    too many bytes becomes a JPEG, if that has fewer, and is scaled down until it fits.

    Args:
        image: The picture.
        side: Pixels that its longer side may have.
        max_bytes: Bytes that it may have; it is scaled down until it fits.
        regions: As of `ImageLimits`.

    Raises:
        ImageError: The picture cannot be read, does not fit, or has another digest than the
            reference says.
    """
    if regions == "on_page" and (page := image.open_page()) is not None:
        image = ImageRef.of(page)
    sent = _at_most(image, side)
    kind = None
    if len(sent.data) > max_bytes and sent.mime_type != _JPEG:
        lossy = _at_most(image, side, _JPEG)
        if len(lossy.data) < len(sent.data):
            sent, kind = lossy, _JPEG
    while len(sent.data) > max_bytes:
        info = inspect_image(sent.data, image.name)
        side = int(max(info.width, info.height) * min(0.9, sqrt(max_bytes / len(sent.data))))
        if side < 1:
            raise ImageError(image.name, f"does not fit into {max_bytes:,} bytes")
        sent = _at_most(image, side, kind)
    return sent


def _at_most(image: ImageRef, side: int, kind: str | None = None) -> ModelImage:
    """A picture of so many pixels at most, encoded anew where it must be of another kind."""
    data = image.read_verified()
    info = inspect_image(data, image.name)
    fits = info.mime_type in READABLE and max(info.width, info.height) <= side
    if fits and kind in (None, info.mime_type) and _is_upright(data):
        return ModelImage(data, info.mime_type)
    pixels = decode_image(data, image.name, min_side=side)
    pixels.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    if kind == _JPEG or info.mime_type in PHOTOGRAPHS:
        pixels.save(buffer, format="JPEG", quality=90)
        return ModelImage(buffer.getvalue(), _JPEG)
    pixels.save(buffer, format="PNG", optimize=True)
    return ModelImage(buffer.getvalue(), "image/png")


def _is_upright(data: bytes) -> bool:
    try:
        with Image.open(BytesIO(data)) as image:
            return bool(image.getexif().get(0x0112, 1) == 1)
    except Exception:  # noqa: BLE001 - a broken EXIF block says nothing about orientation
        return True
