"""Pictures of every kind and every kind of broken picture."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import encoded, noise, solid
from unisem.errors import ImageError
from unisem.images.decoding import MAX_PIXELS, decode_image, inspect_image
from unisem.images.reference import ImageRef, open_image


def pixel(data: bytes) -> tuple[int, ...]:
    return decode_image(data, "test").getpixel((0, 0))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_format_opens_as_rgb(format: str) -> None:
    image = decode_image(encoded(solid("red"), format), "test")
    assert image.mode == "RGB"
    assert image.size == (40, 30)
    assert np.abs(np.array(image.getpixel((5, 5))) - (220, 30, 30)).max() <= 3
    assert inspect_image(encoded(solid("red"), format), "t").mime_type == f"image/{format.lower()}"


@pytest.mark.parametrize("format", ["PPM", "ICO", "TGA", "PCX", "SGI"])
def test_other_formats_of_pillow_are_refused(format: str) -> None:
    data = encoded(solid("red", (16, 16)), format)
    with pytest.raises(ImageError, match="not a picture"):
        decode_image(data, "photo")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_alpha_is_composited_on_white(mode: str) -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0)).convert(mode)
    format = "PNG" if mode != "PA" else "TIFF"
    assert pixel(encoded(image.convert("RGBA") if mode == "PA" else image, format)) == (255,) * 3


def test_half_transparent_black_on_white_is_grey() -> None:
    assert pixel(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 128)))) == (127, 127, 127)


def test_palette_with_transparent_entry_is_composited_on_white() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([0, 0, 0, 200, 0, 0])
    assert pixel(encoded(image, transparency=0)) == (255, 255, 255)
    assert pixel(encoded(image)) == (0, 0, 0)


def test_grey_picture_with_a_transparent_shade_is_composited_on_white() -> None:
    assert pixel(encoded(Image.new("L", (4, 4), 7), transparency=7)) == (255, 255, 255)


def test_cmyk_jpeg() -> None:
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    red = np.array(pixel(encoded(cmyk, "JPEG", quality=95)), int)
    assert np.abs(red - (255, 0, 0)).max() <= 4


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (65535, 255), (32896, 128)])
def test_16_bit_grey_is_scaled_not_clipped(value: int, expected: int) -> None:
    image = Image.fromarray(np.full((4, 4), value, np.uint16))
    for format in ("PNG", "TIFF"):
        assert pixel(encoded(image, format)) == (expected,) * 3


@pytest.mark.parametrize(("value", "expected"), [(0.5, 128), (1.0, 255), (200.0, 200)])
def test_float_tiff_is_scaled(value: float, expected: int) -> None:
    samples = np.full((4, 4), value, np.float32)
    samples[0, 1] = 0
    assert pixel(encoded(Image.fromarray(samples), "TIFF")) == (expected,) * 3


def test_1_bit_picture() -> None:
    assert pixel(encoded(Image.new("1", (4, 4), 1))) == (255, 255, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = Image.new("RGB", (40, 20), (255, 255, 255))
    upright.paste((255, 0, 0), (0, 0, 20, 10))  # red in the top left quarter
    # How each orientation lies in the file: the inverse of what a viewer does.
    stored = {
        1: lambda im: im,
        2: lambda im: im.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda im: im.transpose(Image.Transpose.ROTATE_180),
        4: lambda im: im.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda im: im.transpose(Image.Transpose.TRANSPOSE),
        6: lambda im: im.transpose(Image.Transpose.ROTATE_90),
        7: lambda im: im.transpose(Image.Transpose.TRANSVERSE),
        8: lambda im: im.transpose(Image.Transpose.ROTATE_270),
    }[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode_image(encoded(stored, "JPEG", exif=exif, quality=95), "test")
    assert image.size == (40, 20)
    assert np.abs(np.array(image.getpixel((4, 4)), int) - (255, 0, 0)).max() < 20
    assert np.abs(np.array(image.getpixel((35, 15)), int) - 255).max() < 20


def test_broken_exif_does_not_cost_the_picture() -> None:
    data = encoded(solid("red"), "JPEG", exif=b"Exif\x00\x00MM\x00*garbage")
    assert decode_image(data, "test").size == (40, 30)


def test_first_frame_of_an_animation() -> None:
    frames = [solid("red"), solid("blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.abs(np.array(pixel(data), int) - (220, 30, 30)).max() <= 4


def test_large_jpeg_is_decoded_at_reduced_scale_and_stays_near_the_whole() -> None:
    rough = noise(0, (40, 30)).resize((1600, 1200), Image.Resampling.BICUBIC)
    data = encoded(rough, "JPEG", quality=95)
    small = decode_image(data, "test", min_side=200)
    assert min(small.size) >= 200
    assert small.width < 1600
    whole = decode_image(data, "test").resize(small.size, Image.Resampling.BOX)
    assert np.abs(np.asarray(small, int) - np.asarray(whole, int)).mean() < 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello, I am a text file", "not a picture"),
        (b"<html><body>404</body></html>", "not a picture"),
        (b"\x00" * 1000, "not a picture"),
        (encoded(noise(0), "JPEG")[:1200], "damaged or truncated"),
        (encoded(noise(0), "PNG")[:600], "damaged or truncated"),
        (encoded(noise(0), "WEBP", lossless=True)[:600], "damaged|header|not a picture"),
        (encoded(noise(0), "GIF")[:1200], "damaged or truncated"),
        (b"\x89PNG\r\n\x1a\n" + b"\xff" * 100, "damaged|not a picture"),
    ],
)
def test_bad_bytes_give_one_error_that_names_the_picture(
    data: bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=reason) as caught:
        open_image(path)
    assert "holiday.jpg" in str(caught.value)


def test_every_truncation_of_every_format_is_an_image_error_or_a_picture() -> None:
    for format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        whole = encoded(noise(1), format)
        for length in range(0, len(whole), max(1, len(whole) // 60)):
            with contextlib.suppress(ImageError):
                assert decode_image(whole[:length], "cut").mode == "RGB"


def test_flipped_bytes_are_an_image_error_or_a_picture() -> None:
    rng = np.random.default_rng(0)
    for format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        whole = encoded(noise(2), format)
        for _ in range(60):
            data = bytearray(whole)
            for position in rng.integers(0, min(len(data), 400), 3):
                data[position] ^= int(rng.integers(1, 256))
            with contextlib.suppress(ImageError):
                assert decode_image(bytes(data), "flipped").mode == "RGB"


def png_announcing(width: int, height: int) -> bytes:
    """A PNG whose header lies: it announces a size, but hardly any data follows."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\x00" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [10_000, 20_000, 60_000])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_too_many_pixels_are_refused_from_the_header(side: int) -> None:
    assert side * side > MAX_PIXELS
    with pytest.raises(ImageError, match=r"too many pixels|over the limit"):
        inspect_image(png_announcing(side, side), "bomb.png")


def test_gzip_bomb_in_a_fits_file_is_never_opened() -> None:
    with pytest.raises(ImageError, match="not a picture"):
        decode_image(gzip.compress(b"SIMPLE  =                    T" + b" " * 100_000), "x.fits")


def test_a_png_named_jpg_is_read_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "really.jpg"
    path.write_bytes(encoded(solid("blue"), "PNG"))
    assert ImageRef.of(path).inspected().mime_type == "image/png"


def test_missing_folder_and_pipe_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nothing\.png.*does not exist"):
        open_image(tmp_path / "nothing.png")
    with pytest.raises(ImageError, match=r"cannot be read|not a regular file"):
        open_image(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="not a regular file"):
        open_image(tmp_path / "pipe.png")  # and does not wait for a writer


@pytest.mark.parametrize(
    "url", ["http://example.org/a.png", "HTTPS://x/a.png", "data:image/png;base64,AA", "file:///a"]
)
def test_urls_are_refused_not_fetched(url: str) -> None:
    with pytest.raises(ImageError, match="fetches nothing"):
        ImageRef.of(url)


@pytest.mark.parametrize("source", [None, 3, ["a.png"], np.zeros((4, 4, 3))])
def test_other_types_are_refused(source: object) -> None:
    with pytest.raises(ImageError, match="is no picture"):
        ImageRef.of(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_a_pillow_picture_without_pixels_is_refused(size: tuple[int, int]) -> None:
    for use in (open_image, ImageRef.of):
        with pytest.raises(ImageError, match="PIL image: has no pixels"):
            use(Image.new("RGB", size))


def test_a_closed_pillow_picture_is_refused() -> None:
    for use in (open_image, ImageRef.of):
        picture = Image.open(BytesIO(encoded(solid("red"))))
        picture.close()
        with pytest.raises(ImageError, match="PIL image: is damaged or truncated"):
            use(picture)


def test_sources_agree(tmp_path: Path) -> None:
    image = noise(3)
    path = tmp_path / "noise.png"
    image.save(path)
    expected = np.asarray(image)
    for source in (
        path,
        str(path),
        path.read_bytes(),
        image,
        ImageRef.of(path),
        ImageRef.of(image),
    ):
        assert np.array_equal(np.asarray(open_image(source)), expected)


def test_inspection_fills_in_digest_type_and_size() -> None:
    data = encoded(noise(0, (7, 5)), "PNG")
    ref = ImageRef.of(data).inspected()
    assert (ref.width, ref.height, ref.mime_type) == (7, 5, "image/png")
    assert ref.sha256 == hashlib.sha256(data).hexdigest()


def test_root_confines_paths_and_links(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    solid("red").save(tmp_path / "outside.png")
    solid("red").save(root / "inside.png")
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    (root / "good_link.png").symlink_to(root / "inside.png")
    assert ImageRef(path=root / "inside.png", root=root).open().mode == "RGB"
    assert ImageRef(path=root / "good_link.png", root=root).open().mode == "RGB"
    for name in ("link.png", "../outside.png", str(tmp_path / "outside.png")):
        with pytest.raises(ImageError, match="outside the allowed folder"):
            ImageRef(path=root / name, root=root).open()


def test_pillow_picture_keeps_its_pixels_and_its_orientation() -> None:
    image = noise(4)
    assert np.array_equal(np.asarray(ImageRef.of(image).open()), np.asarray(image))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.open(BytesIO(encoded(noise(4), "JPEG", exif=exif)))
    assert ImageRef.of(turned).open().size == (30, 40)
