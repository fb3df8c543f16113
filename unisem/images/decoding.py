"""From bytes of unknown origin to RGB pixels, or one typed error that names the picture.

Before a pixel is decoded it is settled of which format the bytes are (`unisem.images.formats`), how
many pixels will be decoded and how much memory that takes. All threads of a process share one
budget of memory. Everything that Pillow can raise afterwards becomes `ImageError`.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unisem.errors import ImageError
from unisem.images.formats import OpenedImage, open_header

MAX_PIXELS = 89_478_485
"""Pixels that are decoded of a picture at most (Pillow's own limit)."""

MAX_JPEG_PIXELS = 500_000_000
"""Pixels that a JPEG may have; over ``MAX_PIXELS`` it is decoded at 1/2, 1/4 or 1/8 scale."""

BUDGET = 1 << 30
"""Bytes that all decoding of a process takes at most at one time, results not counted."""

_MAX_SCANS = 200  # of a progressive JPEG, each of which passes over the whole picture; usual are 10
_LARGEST = 16  # times `min_side` squared: a larger result is scaled down, however oblong it is
_SMALL = 4 << 20  # pixels; fewer are left to whoever scales them, who may do it more finely
_TILE = 512  # pixels; a picture is converted tile by tile, with no second whole copy on the way
_WORKING = 16 << 20  # bytes for tiles
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")  # of a JPEG's segments; no stuffed byte
_WHITE = (255, 255, 255, 255)

_SMALL_SAMPLES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
"""Bytes of a pixel in Pillow's memory, where it is not four."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture of an EXIF orientation upright."""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What a picture's header says. ``width`` and ``height`` are pixels before EXIF rotation."""

    mime_type: str
    width: int
    height: int


def inspect_image(data: bytes, name: str) -> ImageInfo:
    """Read a picture's header only.

    Args:
        data: The file's bytes.
        name: What to call the picture in an error.

    Raises:
        ImageError: The bytes are empty, of no known format, or announce too many pixels.
    """
    opened = open_header(data, name)
    with opened.image as image:
        _plan(opened, name, None)
        return ImageInfo(opened.mime_type, image.width, image.height)


def decode_image(
    data: bytes, name: str, *, min_side: int | None = None, page: int = 1
) -> Image.Image:
    """Decode a picture's first frame, or another one or a page, to upright RGB, alpha on white.

    Threads wait for one another while there is no memory left in ``BUDGET``.

    Args:
        data: The file's bytes.
        name: What to call the picture in an error.
        min_side: The pixels that each side must keep. A picture at least twice as large is scaled
            down by a whole number, a JPEG while it is decoded (libjpeg's scaled inverse
            transform), others of more than 4 megapixels as they are converted, very oblong ones
            among them to about 16 times ``min_side`` squared pixels. ``None`` keeps every pixel,
            of a JPEG over ``MAX_PIXELS`` a half, fourth or eighth of each side.
        page: Which of several pages or frames, from 1.

    Returns:
        A picture of mode ``RGB`` that owns its pixels.

    Raises:
        ImageError: As `inspect_image`, or the pixels are truncated or damaged.
    """
    opened = open_header(data, name)
    with opened.image as image:
        moves = page > 1 and image.format != "TIFF"
        if page > 1 and not moves:  # whose pages are of different sizes
            _turn_to(image, page, name)
        scale, cost = _plan(opened, name, min_side)
        if moves:  # frames are drawn one upon the other, and what was there before is kept
            cost = min(cost + 12 * image.width * image.height, BUDGET)
        with _budget.taken(cost):
            if moves:
                _turn_to(image, page, name)
            try:
                if scale > 1:
                    image.draft("RGB", (image.width // scale, image.height // scale))
                image.load()
                turn = _turn(image, opened.orientation)
                pixels = _converted(image, _spare(image.size, min_side))
                image.close()  # lets go of the samples before the pixels are turned
                return pixels if turn is None else pixels.transpose(turn)
            except ImageError:  # of a process that draws
                raise
            except Exception as error:
                # Pillow's decoders raise almost anything on damaged bytes: OSError, SyntaxError,
                # struct.error, IndexError, zlib.error …; all of it means the same to the caller.
                why = " ".join(str(error).split())  # some say it in several lines
                raise ImageError(name, "is damaged or truncated", f" ({why})") from error


def to_rgb(image: Image.Image, *, min_side: int | None = None) -> Image.Image:
    """Turn any Pillow picture into upright RGB: EXIF orientation, alpha on white, 8 bits.

    Args:
        image: The picture; it is not changed.
        min_side: As in `decode_image`.
    """
    turn = _turn(image)
    pixels = _converted(image, _spare(image.size, min_side))
    return pixels if turn is None else pixels.transpose(turn)


class _Budget:
    """Bytes that threads take and give back."""

    def __init__(self, total: int) -> None:
        self._total = total
        self.reset()

    def reset(self) -> None:
        """Begin anew; a forked process has none of the threads that had taken something."""
        self._free = self._total
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, amount: int) -> Iterator[None]:
        """Hold an amount, which must not be over the total, once it is free."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= amount)
            self._free -= amount
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()


_budget = _Budget(BUDGET)
# In blocks of 16 MiB, as Pillow takes memory by default, the C library keeps what threads let go.
Image.core.set_block_size(64 << 20)  # type: ignore[attr-defined]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_budget.reset)


def _turn_to(image: Image.Image, page: int, name: str) -> None:
    try:
        image.seek(page - 1)
    except Exception as error:  # as in `decode_image`
        raise ImageError(name, f"has no page {page}", f" ({error})") from error


def _plan(opened: OpenedImage, name: str, min_side: int | None) -> tuple[int, int]:
    """At which scale to decode, and the bytes of memory that takes at its peak."""
    image, data = opened.image, opened.data
    width, height = image.size
    scale, most, scans = 1, MAX_PIXELS, 1
    if image.format in ("JPEG", "MPO"):
        most = MAX_JPEG_PIXELS
        kept = max(1, min(width, height) // min_side) if min_side else 1
        scale = next(
            (s for s in (8, 4, 2) if s <= kept or width * height > MAX_PIXELS * (s // 2) ** 2), 1
        )
    pixels = width * height // scale**2
    held = _SMALL_SAMPLES.get(image.mode, 4) * pixels
    result = 4 * pixels // _spare((width // scale, height // scale), min_side) ** 2
    cost = max(held + result, 2 * result) + _WORKING
    if scale > 1 or most > MAX_PIXELS:
        scans, together = _scans(data)
        if scans > _MAX_SCANS:
            raise ImageError(name, f"has more than {_MAX_SCANS} scans; save it anew")
        if together:  # libjpeg holds two bytes for each sample of the whole picture
            most = MAX_PIXELS
            cost += 2 * width * height * len(image.getbands())
    elif image.format == "WEBP":
        cost += 16 * pixels  # libwebp has two canvases, and its answer is copied twice
    elif image.format == "TIFF":
        cost += len(data) + 8 * max(pixels, _tile_of(image))
    elif image.format in ("BMP", "JXL"):
        cost += 4 * pixels
    elif image.format in ("AVIF", "HEIF"):
        cost += 12 * pixels  # the decoder's planes, with more bits than eight, and its answer
    if width * height > most or pixels > MAX_PIXELS:
        kind = "of a progressive JPEG, " if scans > 1 else ""
        raise ImageError(
            name,
            f"announces {width} x {height} pixels, {kind}over the limit of {most:,}; scale it down",
        )
    if cost > BUDGET:
        raise ImageError(
            name,
            f"announces {width} x {height} pixels, which take {cost >> 20:,} MiB to decode, over "
            f"the limit of {BUDGET >> 20:,} MiB; scale it down",
        )
    return scale, cost


def _scans(data: bytes) -> tuple[int, bool]:
    """A JPEG's number of scans if there are several, and whether all are held until the last."""
    at, scans, progressive, components = 2, 0, False, 0
    while scans <= _MAX_SCANS and (found := _MARKER.search(data, at)):
        start = found.start()
        marker, length = data[start + 1], int.from_bytes(data[start + 2 : start + 4])
        if marker == 0xD9:  # the end; what follows is another picture, or a film
            break
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
            components = int.from_bytes(data[start + 9 : start + 10])
        elif marker == 0xDA:
            if not (scans or progressive or data[start + 4 : start + 5] < bytes([components])):
                return 1, False
            scans += 1
        at = start + 2 + length
    return scans, True


def _tile_of(image: Image.Image) -> int:
    """Pixels of a TIFF's tile, which may be larger than the picture."""
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    try:
        return int(tags.get(322, 0)) * int(tags.get(323, 0))
    except (TypeError, ValueError):
        return BUDGET


def _spare(size: tuple[int, int], min_side: int | None) -> int:
    """By which whole number a picture may be scaled down."""
    if min_side is None or size[0] * size[1] <= _SMALL:
        return 1
    return max(1, min(size) // min_side, ceil(sqrt(size[0] * size[1] / _LARGEST) / min_side))


def _turn(image: Image.Image, known: int | None = None) -> Image.Transpose | None:
    """What makes a picture upright by its EXIF, or else by what is known of it otherwise."""
    try:
        return _TURNS.get(image.getexif().get(0x0112, known or 1))
    except Exception:  # noqa: BLE001 - a broken EXIF block must not cost a good picture
        return None


def _converted(image: Image.Image, factor: int) -> Image.Image:
    """RGB on white, scaled down by a whole number, as a picture of its own."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.reduce(factor) if factor > 1 else image.copy()
    many_bits = image.mode == "F" or image.mode.startswith("I")
    convert = _to_8_bits(image) if many_bits else _on_white
    pixels = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for left, top, tile in _tiles(image, max(factor, _TILE // factor * factor)):
        part = convert(tile)
        pixels.paste(part.reduce(factor) if factor > 1 else part, (left // factor, top // factor))
    return pixels


def _tiles(image: Image.Image, side: int) -> Iterator[tuple[int, int, Image.Image]]:
    for top in range(0, image.height, side):
        for left in range(0, image.width, side):
            right, bottom = min(left + side, image.width), min(top + side, image.height)
            yield left, top, image.crop((left, top, right, bottom))


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    canvas = Image.new("RGBA", rgba.size, _WHITE)
    canvas.alpha_composite(rgba)
    return canvas.convert("RGB")


def _to_8_bits(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Scale 16-bit, 32-bit and float samples to 8 bits instead of clipping them, as Pillow does."""
    low, factor = 0.0, 1.0
    if image.mode.startswith("I;16"):
        factor = 1 / 257
    else:
        ranges = [_range(np.asarray(tile)) for _, _, tile in _tiles(image, _TILE)]
        least, most = (min(r[0] for r in ranges), max(r[1] for r in ranges))
        if image.mode == "I":
            factor = 1 / 257 if most > 255 else 1.0
        elif least >= 0 and most <= 1:
            factor = 255.0
        elif least < 0 or most > 255:
            low, factor = least, 255 / max(most - least, 1e-12)

    def convert(tile: Image.Image) -> Image.Image:
        samples: NDArray[np.float64] = (np.asarray(tile).astype(np.float64) - low) * factor
        grey = np.nan_to_num(samples).clip(0, 255).round().astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")

    return convert


def _range(samples: NDArray[Any]) -> tuple[float, float]:
    finite = samples[np.isfinite(samples)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
