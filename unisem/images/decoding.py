"""From bytes of unknown origin to RGB pixels, or one typed error that names the picture.

Three things are settled before a pixel is decoded: the bytes belong to one of six formats (by
content; a file's name is never believed), the header's pixel count is within ``MAX_PIXELS``, and
the bytes are not empty. Everything that Pillow can raise afterwards becomes `ImageError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from unisem.errors import ImageError

MAX_PIXELS = 89_478_485
"""Pixels a header may announce (Pillow's own limit: a quarter gigabyte once decoded to RGB)."""

_MIME_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a phone's JPEG with a second picture behind the first
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}
_READERS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_WHITE = (255, 255, 255, 255)


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
    with _open(data, name) as image:
        return ImageInfo(_MIME_TYPES[str(image.format)], image.width, image.height)


def decode_image(data: bytes, name: str, *, min_side: int | None = None) -> Image.Image:
    """Decode a picture's first frame to upright RGB, alpha composited on white.

    Args:
        data: The file's bytes.
        name: What to call the picture in an error.
        min_side: The pixels that each side must keep. A JPEG at least twice as large is decoded
            at 1/2, 1/4 or 1/8 scale (libjpeg's scaled inverse transform), which costs a fraction
            of the time and memory. ``None`` decodes every pixel.

    Returns:
        A picture of mode ``RGB`` that owns its pixels.

    Raises:
        ImageError: As `inspect_image`, or the pixels are truncated or damaged.
    """
    with _open(data, name) as image:
        try:
            if min_side is not None:
                image.draft("RGB", (min_side, min_side))
            image.load()
            return to_rgb(image)
        except Exception as error:
            # Pillow's decoders raise almost anything on damaged bytes: OSError, SyntaxError,
            # struct.error, IndexError, zlib.error …; all of it means the same to the caller.
            raise ImageError(name, "is damaged or truncated", f" ({error})") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Turn any Pillow picture into upright RGB: EXIF orientation, alpha on white, 8 bits."""
    image = _upright(image)
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if image.mode.startswith("I") or image.mode == "F":
        return _to_8_bits(image).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGBA", rgba.size, _WHITE)
        canvas.alpha_composite(rgba)
        return canvas.convert("RGB")
    return image.convert("RGB")


def _open(data: bytes, name: str) -> Image.Image:
    if not data:
        raise ImageError(name, "is empty (0 bytes)")
    try:
        image = Image.open(BytesIO(data), formats=_READERS)
    except UnidentifiedImageError:
        raise ImageError(
            name, "is not a picture: its bytes are none of JPEG, PNG, WebP, GIF, BMP, TIFF"
        ) from None
    except Image.DecompressionBombError as error:
        raise ImageError(name, "announces too many pixels", f" ({error})") from error
    except Exception as error:  # as in `decode_image`: headers can be damaged, too
        raise ImageError(name, "has a damaged header", f" ({error})") from error
    if image.width * image.height > MAX_PIXELS:
        pixels = f"{image.width} x {image.height}"
        image.close()
        raise ImageError(
            name, f"announces {pixels} pixels, over the limit of {MAX_PIXELS:,}; scale it down"
        )
    return image


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - a broken EXIF block must not cost a good picture
        return image


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and float samples to 8 bits instead of clipping them, as Pillow does."""
    samples: NDArray[np.float64] = np.asarray(image).astype(np.float64)
    if image.mode == "F":
        low, high = float(np.nanmin(samples)), float(np.nanmax(samples))
        if low >= 0 and high <= 1:
            samples = samples * 255
        elif low < 0 or high > 255:
            samples = (samples - low) * (255 / max(high - low, 1e-12))
    elif image.mode.startswith("I;16") or samples.max(initial=0) > 255:
        samples = samples / 257
    return Image.fromarray(np.nan_to_num(samples).clip(0, 255).round().astype(np.uint8))
