"""Which format a picture's bytes are of, and what opens them; a file's name is never believed.

Opening reads a header: no pixel is decoded. What an extra opens is imported when the first such
picture comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from unisem.errors import ImageError
from unisem.images.apart_image import ApartImage
from unisem.images.boxes import JPEG_XL_BOX, brands_of, codestream_of
from unisem.images.codecs import jpeg_xl, svg
from unisem.images.codecs.jpeg_xl import JpegXl
from unisem.images.codecs.svg import Svg
from unisem.images.raw import RAW_TYPES, preview_of
from unisem.images.tiff import byte_order

_MIME_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a phone's JPEG with a second picture behind the first
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
    "JXL": "image/jxl",
    "SVG": "image/svg+xml",
}
SUFFIXES = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/bmp": ".bmp",
    "image/tiff": ".tiff",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "image/jxl": ".jxl",
    "image/svg+xml": ".svg",
    **RAW_TYPES,
}
"""How files of each type are named."""

PHOTOGRAPHS = {"image/jpeg", "image/avif", "image/heic", "image/jxl", *RAW_TYPES}
"""Types whose pixels were seldom kept exactly: where one is encoded anew, it becomes a JPEG."""

_TIFF = TiffImagePlugin.TiffImageFile
# Not `Image.open`: it warns of, or refuses, a JPEG whose pixels will not all be decoded.
_READERS: tuple[tuple[bytes, Callable[[BytesIO], Image.Image]], ...] = (
    (b"\xff\xd8\xff", JpegImagePlugin.jpeg_factory),
    (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    (b"GIF87a", GifImagePlugin.GifImageFile),
    (b"GIF89a", GifImagePlugin.GifImageFile),
    (b"II*\0", _TIFF),
    (b"MM\0*", _TIFF),
    (b"II+\0", _TIFF),
    (b"MM\0+", _TIFF),
    (b"RIFF", WebPImagePlugin.WebPImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
)
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF = {b"avif", b"avis"}


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """A picture whose header has been read.

    Attributes:
        image: Pillow's; closed by whoever has it.
        mime_type: The file's; a raw file's own, though its preview is a JPEG.
        data: The bytes that ``image`` is decoded from.
        orientation: EXIF's number for how the camera was held, where a raw file says it.
    """

    image: Image.Image
    mime_type: str
    data: bytes
    orientation: int | None = None


def open_header(data: bytes, name: str) -> OpenedImage:
    """Find the format of a picture's bytes and read its header.

    Args:
        data: The file's bytes.
        name: What to call the picture in an error.

    Raises:
        ImageError: The bytes are empty, of no known format, of one whose extra is not installed,
            or damaged.
    """
    if not data:
        raise ImageError(name, "is empty (0 bytes)")
    shown, mime_type, orientation = data, None, None
    if byte_order(data) or data[4:8] == b"ftyp" or data.startswith(b"FUJIFILM"):
        preview = preview_of(data)
        if preview is not None:
            shown, mime_type = preview.jpeg, preview.mime_type
            orientation = preview.orientation
            if not shown:
                kind = RAW_TYPES[mime_type][1:].upper()
                raise ImageError(
                    name, f"is a camera's raw file ({kind}) without a preview; export it as JPEG"
                )
    reader = _reader_of(shown, name)
    try:
        image = reader(BytesIO(shown))
    except Exception as error:  # as in `decode_image`: headers can be damaged, too
        raise ImageError(name, "has a damaged header", f" ({error})") from error
    return OpenedImage(image, mime_type or _MIME_TYPES[str(image.format)], shown, orientation)


def _reader_of(data: bytes, name: str) -> Callable[[BytesIO], Image.Image]:
    brands = brands_of(data)
    if brands and not _AVIF.isdisjoint(brands):
        return AvifImagePlugin.AvifImageFile
    if brands and not _HEIC.isdisjoint(brands):
        return _heic(name)
    if data.startswith((jpeg_xl.START, JPEG_XL_BOX)):
        _require("JPEG XL", jpeg_xl.NEEDS, name)
        picture = JpegXl.of(data, codestream_of(data), name)
        return lambda _: ApartImage("JXL", (picture.width, picture.height), picture.draw)
    reader = next((reader for start, reader in _READERS if data.startswith(start)), None)
    if reader is None and (drawing := Svg.of(data, name)) is not None:
        _require("SVG", svg.NEEDS, name)
        return lambda _: ApartImage("SVG", (drawing.width, drawing.height), drawing.draw)
    if reader is None or (data[:4] == b"RIFF" and data[8:12] != b"WEBP"):
        raise ImageError(
            name,
            "is not a picture: its bytes are none of JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC, AVIF, "
            "JPEG XL, SVG or a camera's raw file",
        )
    return reader


def _heic(name: str) -> Callable[[BytesIO], Image.Image]:
    _require("HEIC", "pillow_heif", name)
    from pillow_heif import HeifImageFile

    reader: Callable[[BytesIO], Image.Image] = HeifImageFile
    return reader


def _require(kind: str, library: str, name: str) -> None:
    if find_spec(library) is None:
        raise ImageError(name, f"is {kind}, which needs: pip install 'unisem[photos]'")
