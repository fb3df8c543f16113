"""Pictures as telephones and cameras write them."""

from __future__ import annotations

import math
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import encoded, noise, solid
from tests.support.raw_files import raw_file
from unisem.errors import ImageError
from unisem.images import formats
from unisem.images.decoding import decode_image, inspect_image
from unisem.images.for_models import image_for_model
from unisem.images.formats import SUFFIXES, open_header
from unisem.images.raw import RAW_TYPES, preview_of
from unisem.images.reference import ImageRef

SIZE = (96, 64)
KINDS = ["cr2", "cr3", "nef", "arw", "dng", "orf", "rw2", "raf"]


def smooth() -> Image.Image:
    return noise(3, (6, 4)).resize(SIZE, Image.Resampling.BICUBIC)


def off_by(found: Image.Image, expected: Image.Image) -> float:
    assert found.size == expected.size
    return float(np.abs(np.asarray(found, int) - np.asarray(expected, int)).mean())


def heic(image: Image.Image, **options: object) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    return encoded(image, "HEIF", **options)


def test_heic_and_avif_are_pictures_held_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = smooth().transpose(Image.Transpose.ROTATE_270)
    for data, kind in (
        (heic(smooth(), exif=exif.tobytes(), quality=95), "heic"),
        (encoded(smooth(), "AVIF", exif=exif.tobytes(), quality=95), "avif"),
    ):
        assert inspect_image(data, "t").mime_type == f"image/{kind}"
        assert off_by(decode_image(data, "t"), upright) < 6
        sent = image_for_model(ImageRef.of(data))
        assert sent.mime_type == "image/jpeg"
        for end in (20, len(data) // 2, len(data) - 40):
            with pytest.raises(ImageError, match="damaged"):
                decode_image(data[:end], "t")


@pytest.mark.parametrize("length", [math.inf, math.nan])
def test_a_raw_file_whose_preview_is_infinitely_long_has_none(length: float) -> None:
    rows = struct.pack("<HHII", 262, 4, 1, 32803) + struct.pack("<HHII", 513, 4, 1, 8)
    rows += struct.pack("<HHIf", 514, 11, 1, length)
    data = b"II*\0" + struct.pack("<IH", 8, 3) + rows + bytes(4)
    with pytest.raises(ImageError, match="without a preview"):
        inspect_image(data, "t")


def test_heic_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    data = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"
    with pytest.raises(ImageError, match=r"is HEIC, which needs: pip install 'unisem\[photos\]'"):
        inspect_image(data, "IMG_1.HEIC")


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_raw_file_the_largest_preview_is_shown(kind: str) -> None:
    large = encoded(smooth(), "JPEG", quality=95)
    data = raw_file(kind, large, encoded(solid("red", (8, 8)), "JPEG"))
    info = inspect_image(data, "t")
    assert SUFFIXES[info.mime_type] == RAW_TYPES[info.mime_type] == f".{kind}"
    assert (info.width, info.height) == SIZE
    preview = preview_of(data)
    assert preview is not None
    assert preview.jpeg.startswith(large)
    assert off_by(decode_image(data, "t"), decode_image(large, "t")) == 0


@pytest.mark.parametrize("kind", ["cr2", "cr3", "nef"])
def test_a_raw_file_says_how_the_camera_was_held(kind: str) -> None:
    large = encoded(smooth(), "JPEG")
    data = raw_file(kind, large, b"", orientation=8)
    turned = decode_image(large, "t").transpose(Image.Transpose.ROTATE_90)
    assert off_by(decode_image(data, "t"), turned) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_raw_files_are_refused(kind: str) -> None:
    data = raw_file(kind, encoded(smooth(), "JPEG"), encoded(solid("red"), "JPEG"))
    rng = np.random.default_rng(5)
    for _ in range(60):
        broken = bytearray(data[: int(rng.integers(1, len(data) + 1))])
        for at in rng.integers(0, min(len(broken), 400), 3):
            broken[at] = int(rng.integers(0, 256))
        with suppress(ImageError):  # and nothing else
            decode_image(bytes(broken), "t")


def test_a_raw_file_without_a_preview_says_so() -> None:
    data = raw_file("nef", b"", b"")
    with pytest.raises(ImageError, match=r"raw file \(NEF\) without a preview; export it"):
        decode_image(data, "t")


def test_a_plain_tiff_is_no_raw_file() -> None:
    for options in ({}, {"compression": "jpeg"}, {"compression": "tiff_lzw"}):
        data = encoded(smooth(), "TIFF", **options)
        assert preview_of(data) is None
        assert inspect_image(data, "t").mime_type == "image/tiff"


def test_metadata_of_a_heic_that_are_packed_are_left_packed() -> None:
    """Some builds of libheif unpack them as a header is read: a gigabyte out of a megabyte."""
    kind, packed = b"application/rdf+xml\0", b"deflate"
    data = bytearray(heic(smooth(), xmp=b"<x>words</x>"))
    at = data.index(kind) + len(kind)

    def put(place: int, number: int) -> None:
        data[place : place + 4] = number.to_bytes(4, "big")

    def number(place: int) -> int:
        return int.from_bytes(data[place : place + 4], "big")

    for name in (b"meta", b"iinf", b"infe"):
        start = data.rindex(name, 0, at) - 4
        put(start, number(start) + len(packed))
    data[at:at] = packed
    items = data.index(b"iloc") + 12
    for item in (items, items + 18):  # what is behind lies further on
        put(item + 4, number(item + 4) + len(packed))
    bomb = zlib.compress(b"<x>" + bytes(96 << 20), 9)
    start = number(items + 22)
    put(items + 32, len(bomb))
    data[start:] = bomb
    box = data.rindex(b"mdat", 0, start) - 4
    put(box, len(data) - box)
    assert decode_image(bytes(data), "t").size == SIZE
    with open_header(bytes(data), "t").image as image:
        assert not image.info.get("xmp")
        assert not image.info.get("metadata")
