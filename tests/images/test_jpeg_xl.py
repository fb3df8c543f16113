"""JPEG XL: how large it says it is, what it shows, and what is refused."""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import encoded, noise
from unisem.errors import ImageError
from unisem.images import formats
from unisem.images.codecs.jpeg_xl import JpegXl
from unisem.images.decoding import MAX_PIXELS, decode_image, inspect_image
from unisem.images.facts.file_facts import facts_of
from unisem.images.for_models import image_for_model
from unisem.images.reference import ImageRef


def encode(pixels: Any, **options: Any) -> bytes:
    found = pytest.importorskip("imagecodecs").jpegxl_encode(pixels, numthreads=1, **options)
    return bytes(found)


def rgb(width: int = 96, height: int = 64) -> np.ndarray:
    return np.asarray(noise(3, (6, 4)).resize((width, height), Image.Resampling.BICUBIC))


SIZES = [*itertools.product((1, 8, 31, 64, 256, 257, 700), repeat=2), (9000, 3), (64, 48), (96, 80)]


def test_a_header_tells_the_size_that_the_decoder_finds() -> None:
    codecs = pytest.importorskip("imagecodecs")
    for width, height in SIZES:
        data = encode(np.zeros((height, width), np.uint8), effort=1)
        info = inspect_image(data, "t")
        assert (info.mime_type, info.width, info.height) == ("image/jxl", width, height)
        assert codecs.jpegxl_decode(data).shape[:2] == (height, width)


@pytest.mark.parametrize("boxed", [False, True])
@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (rgb(), rgb()),
        (rgb()[..., 0], np.stack([rgb()[..., 0]] * 3, -1)),
        (rgb().astype(np.uint16) * 257, rgb()),
        ((rgb() / 255).astype(np.float32), rgb()),
        (np.dstack([rgb(), np.zeros((64, 96), np.uint8)]), np.full((64, 96, 3), 255)),
    ],
    ids=["colour", "grey", "16 bit", "floats", "transparent"],
)
def test_what_is_decoded_is_what_was_encoded(pixels: Any, expected: Any, boxed: bool) -> None:
    data = encode(pixels, lossless=True, usecontainer=boxed)
    if boxed or pixels.dtype == np.uint8:  # more bits are always boxed
        assert data.startswith(b"\0\0\0\x0cJXL" if boxed else b"\xff\x0a")
    assert np.abs(np.asarray(decode_image(data, "t"), int) - expected).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_held_upright_once(orientation: int) -> None:
    codecs = pytest.importorskip("imagecodecs")
    exif = Image.Exif()
    exif[0x0112] = orientation
    jpeg = encoded(Image.fromarray(rgb()), "JPEG", quality=95, exif=exif)
    data = bytes(codecs.jpegxl_encode_jpeg(jpeg))
    upright, found = decode_image(jpeg, "t"), decode_image(data, "t")
    info = inspect_image(data, "t")
    assert (info.width, info.height) == found.size == upright.size
    assert np.abs(np.asarray(found, int) - np.asarray(upright, int)).mean() < 3
    assert image_for_model(ImageRef(data=data)).mime_type == "image/jpeg"


def test_of_several_frames_the_first_is_shown() -> None:
    frames = np.stack([rgb(), 255 - rgb()])
    data = encode(frames, lossless=True)
    assert np.array_equal(np.asarray(decode_image(data, "t")), rgb())


def test_what_is_cut_or_damaged_is_an_error_and_nothing_else() -> None:
    data = encode(rgb(), usecontainer=True)
    for end in (12, 20, 40, len(data) // 2):
        with pytest.raises(ImageError, match="damaged"):
            decode_image(data[:end], "t")
    rng = np.random.default_rng(7)
    for _ in range(30):
        broken = bytearray(data)
        for at in rng.integers(12, len(data), 3):
            broken[at] = int(rng.integers(0, 256))
        with suppress(ImageError):
            decode_image(bytes(broken), "t")


def test_more_pixels_than_are_decoded_are_refused_by_the_header() -> None:
    pytest.importorskip("imagecodecs")
    width = MAX_PIXELS // 1000 + 1
    header = 0b10 << 1 | (999 << 3)  # a height of 1,000, in 18 bits
    header |= (0b10 << 24) | ((width - 1) << 26)  # no ratio, a width
    data = b"\xff\x0a" + header.to_bytes(8, "little") + bytes(100)
    with pytest.raises(ImageError, match=f"announces {width} x 1000 pixels"):
        inspect_image(data, "t")


def test_a_header_that_lies_is_damage() -> None:
    data = encode(rgb(), lossless=True)
    with pytest.raises(ImageError, match="header tells of another size"):
        JpegXl(data, "t", 96, 65).draw()


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    for data, kind in ((b"\xff\x0a1234", "JPEG XL"), (b"<svg/>", "SVG")):
        with pytest.raises(ImageError, match=rf"is {kind}, which needs: pip install 'unisem\[ph"):
            inspect_image(data, "t")


def test_its_container_tells_when_and_where_packed_or_not() -> None:
    codecs = pytest.importorskip("imagecodecs")
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "Canon EOS R6"
    exif.get_ifd(0x8769)[0x9003] = "2024:06:01 22:30:05"
    known = {"camera": "Canon EOS R6", "taken": "2024-06-01T22:30:05"}
    jpeg = encoded(Image.fromarray(rgb()), "JPEG", exif=exif)
    transcoded = bytes(codecs.jpegxl_encode_jpeg(jpeg))
    assert b"brob" in transcoded  # as libjxl writes it
    assert facts_of(transcoded).metadata() == known

    def box(kind: bytes, content: bytes) -> bytes:
        return (8 + len(content)).to_bytes(4, "big") + kind + content

    plain = exif.tobytes().removeprefix(b"Exif\0\0")
    data = encode(rgb(), usecontainer=True)
    assert facts_of(data + box(b"Exif", bytes(4) + plain)).metadata() == known
    behind = (2).to_bytes(4, "big") + b"xx" + plain
    assert facts_of(data + box(b"Exif", behind)).metadata() == known
    bomb = bytes(codecs.brotli_encode(bytes(64 << 20)))
    damaged = (bomb, b"no brotli", b"")
    for content in damaged:
        assert facts_of(data + box(b"brob", b"Exif" + content)).metadata() == {}
    xmp = b"<x xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><r:Description "
    xmp += b"xmlns:x='http://ns.adobe.com/xap/1.0/' x:Rating='4'/></x>"
    packed = box(b"brob", b"xml " + bytes(codecs.brotli_encode(xmp)))
    assert facts_of(data + packed).rating == 4
