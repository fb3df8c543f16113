"""What decoding gives, against whole-picture conversion, and what it takes."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.decoding_memory import many_bit_png, measured
from tests.support.pictures import encoded, noise, solid
from unisem.errors import ImageError
from unisem.images import decoding
from unisem.images.decoding import decode_image, inspect_image, to_rgb
from unisem.images.reference import open_image

pytestmark = pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")

SIZE = (1400, 1100)  # several tiles, and no multiple of one


def rough(mode: str, size: tuple[int, int] = SIZE) -> Image.Image:
    """A picture with something of everything in it."""
    rng = np.random.default_rng(7)
    shape = (size[1], size[0])
    if mode in ("I;16", "I;16B"):
        return Image.fromarray(
            rng.integers(0, 65536, shape).astype("<u2" if mode == "I;16" else ">u2")
        )
    if mode == "I":
        return Image.fromarray(rng.integers(0, 65536, shape, np.int32))
    if mode == "F":
        return Image.fromarray(rng.normal(0, 300, shape).astype(np.float32))
    pixels = Image.fromarray(rng.integers(0, 256, (*shape, 4), np.uint8), "RGBA")
    return pixels if mode == "RGBA" else pixels.convert("RGB").convert(mode)


def whole(image: Image.Image) -> Image.Image:
    """Conversion by the plain formula, all at once."""
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        samples = np.asarray(image).astype(np.float64)
        if image.mode == "F":
            low, high = samples.min(), samples.max()
            samples = (samples - low) * (255 / (high - low))
        else:
            samples = samples / 257
        return Image.fromarray(samples.round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "I;16", "I;16B", "I", "F"]
)
@pytest.mark.parametrize("min_side", [None, 1101, 540, 300, 11])
def test_tiles_give_what_the_whole_gives(
    mode: str, min_side: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_SMALL", 0)
    image = rough(mode)
    factor = 1 if min_side is None else max(1, 1100 // min_side)
    expected = whole(image)
    if factor > 1:
        expected = expected.reduce(factor)
    found = to_rgb(image, min_side=min_side)
    assert found.size == expected.size
    assert np.abs(np.asarray(found, int) - np.asarray(expected, int)).max() <= 1
    assert image.size == SIZE


@pytest.mark.parametrize("orientation", range(1, 9))
def test_scaling_down_and_turning_go_together(
    orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_SMALL", 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = noise(0, (60, 40)).resize((600, 400))
    for format in ("JPEG", "PNG", "WEBP", "TIFF"):
        data = encoded(image, format, exif=exif)
        small = decode_image(data, "t", min_side=100)
        full = decode_image(data, "t").resize(small.size, Image.Resampling.BOX)
        assert small.size == ((150, 100) if orientation < 5 else (100, 150))
        assert np.abs(np.asarray(small, int) - np.asarray(full, int)).mean() < 2


@pytest.mark.parametrize("size", [(20_000, 1080), (300, 60_000), (895, 5000)])
def test_oblong_pictures_stay_small(size: tuple[int, int]) -> None:
    pixels = decode_image(encoded(Image.new("L", size)), "t", min_side=200)
    assert 200 * 200 < pixels.width * pixels.height <= 1.05 * 16 * 200**2
    assert pixels.width / pixels.height == pytest.approx(size[0] / size[1], rel=0.05)


@pytest.mark.parametrize("size", [(1, 300_000), (300_000, 1), (40_000, 3)])
def test_lines_are_pictures(size: tuple[int, int]) -> None:
    for min_side in (None, 448, 1):
        pixels = decode_image(encoded(Image.new("L", size)), "t", min_side=min_side)
        assert 1 <= min(pixels.size) <= min(size)


# --- how many pixels -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def from_a_phone() -> bytes:
    return encoded(Image.new("L", (16_320, 12_240), 128), "JPEG", quality=30)


def test_a_jpeg_of_200_megapixels_is_decoded_at_reduced_scale(from_a_phone: bytes) -> None:
    info = inspect_image(from_a_phone, "t")
    assert (info.width, info.height) == (16_320, 12_240)
    assert decode_image(from_a_phone, "t", min_side=448).size == (2040, 1530)
    assert decode_image(from_a_phone, "t").size == (8160, 6120)


@pytest.mark.parametrize(
    ("size", "options", "reason"),
    [
        ((12_000, 9_000), {"progressive": True}, "progressive.*over the limit of 89,478,485"),
        ((65_000, 8_000), {}, "over the limit of 500,000,000"),
    ],
)
def test_jpegs_that_must_be_decoded_whole_or_are_beyond_measure(
    size: tuple[int, int], options: dict[str, bool], reason: str
) -> None:
    small = encoded(solid("red"), "JPEG", **options)
    frame = small.index(b"\xff\xc2" if options else b"\xff\xc0") + 5  # its height, its width
    data = small[:frame] + struct.pack(">HH", *reversed(size)) + small[frame + 4 :]
    for minimum in (None, 100):
        with pytest.raises(ImageError, match=reason):
            decode_image(data, "t", min_side=minimum)
    with pytest.raises(ImageError, match=reason):
        inspect_image(data, "t")


def test_a_progressive_jpeg_of_thousands_of_scans_is_refused() -> None:
    data = encoded(noise(0), "JPEG", progressive=True)
    assert decode_image(data + b"\xff\xda" * 5000, "t").size == (40, 30)  # behind the end: a film
    last = data[data.rfind(b"\xff\xda") : -2]
    with pytest.raises(ImageError, match="more than 200 scans"):
        decode_image(data[:-2] + 5000 * last + data[-2:], "t")


def tiff(tags: dict[int, int], body: bytes) -> bytes:
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + body


@pytest.mark.parametrize("compression", [1, 5, 8])
def test_a_small_tiff_of_huge_tiles_is_refused(compression: int) -> None:
    tags = {256: 10, 257: 10, 258: 8, 259: compression, 262: 1, 277: 1, 324: 134, 325: 10}
    with pytest.raises(ImageError, match="MiB to decode, over the limit of 1,024 MiB"):
        decode_image(tiff(tags | {322: 30_000, 323: 65_520}, bytes(100)), "t")


def test_a_webp_whose_canvases_do_not_fit_is_refused() -> None:
    data = encoded(Image.new("RGB", (9000, 9000)), "WEBP", method=0)
    with pytest.raises(ImageError, match=r"9000 x 9000 pixels, which take 1,\d\d\d MiB"):
        inspect_image(data, "t")


def test_text_chunks_that_unpack_to_much_are_refused() -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("a", "a" * 50_000_000, zip=True)
    with pytest.raises(ImageError, match="damaged"):
        decode_image(encoded(solid("red"), pnginfo=info), "t")


@pytest.mark.parametrize("data", [b"RIFF\0\0\0\0WAVEfmt ", b"\xff\xd8\xff" + b"\xff" * 10_000])
def test_starts_of_pictures_that_are_none(data: bytes) -> None:
    with pytest.raises(ImageError):
        decode_image(data, "t")


# --- memory --------------------------------------------------------------------------------------

linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are in /proc")


@linux
@pytest.mark.parametrize(
    "kind", ["16-bit PNG", "float TIFF", "palette PNG", "RGBA PNG", "CMYK TIFF"]
)
def test_a_large_picture_takes_a_few_bytes_a_pixel(tmp_path: Path, kind: str) -> None:
    side, path = 3000, tmp_path / "bomb"
    if kind == "16-bit PNG":
        many_bit_png(path, 0, side)
    elif kind == "float TIFF":
        Image.new("F", (side, side)).save(path, "TIFF", compression="tiff_adobe_deflate")
    elif kind == "CMYK TIFF":
        Image.new("CMYK", (side, side)).save(path, "TIFF", compression="tiff_lzw")
    else:
        Image.new(kind.split()[0].replace("palette", "P"), (side, side)).save(path, "PNG")
    reduced, whole_ = (float(measured(path, 1, m)[0]) * 2**20 / side**2 for m in (448, side))
    assert reduced < 7  # the samples, and tiles
    assert whole_ < 12  # and the result


@linux
def test_threads_share_one_budget(tmp_path: Path) -> None:
    many_bit_png(tmp_path / "bomb", 6, 4000)  # 64 MiB of samples
    alone, eight = (float(measured(tmp_path / "bomb", n)[0]) for n in (1, 8))
    assert alone < 100
    assert eight < 1024


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> Iterator[decoding._Budget]:
    budget = decoding._Budget(100)
    monkeypatch.setattr(decoding, "_budget", budget)
    yield budget
    assert budget._free == 100


def test_the_budget_is_never_overdrawn_and_given_back_after_errors(
    little: decoding._Budget,
) -> None:
    held, most, lock = 0, 0, threading.Lock()

    def take(amount: int) -> None:
        nonlocal held, most
        for _ in range(50):
            try:
                with little.taken(amount):
                    with lock:
                        held += amount
                        most = max(most, held)
                    with lock:
                        held -= amount
                    raise KeyError
            except KeyError:
                pass

    threads = [threading.Thread(target=take, args=(amount,)) for amount in (10, 30, 60, 100, 70)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert 0 < most <= 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_the_whole_budget() -> None:
    code = (
        "import os, threading\n"
        "from PIL import Image\n"
        "from unisem.images import decoding\n"
        "from tests.support.pictures import encoded, solid\n"
        "data = encoded(solid('red'))\n"
        "taken, done = threading.Event(), threading.Event()\n"
        "def hold():\n"
        "    with decoding._budget.taken(decoding.BUDGET):\n"
        "        taken.set(); done.wait(60)\n"
        "threading.Thread(target=hold).start(); taken.wait(60)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if decoding.decode_image(data, 't').size == (40, 30) else 1)\n"
        "print(os.waitpid(child, 0)[1]); done.set()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == ("0", "")


def test_a_pillow_picture_is_scaled_down_like_a_file() -> None:
    image = noise(1, (2400, 2300))
    assert np.array_equal(
        np.asarray(open_image(image, min_side=100)),
        np.asarray(decode_image(encoded(image), "t", min_side=100)),
    )


def test_no_warning_of_pillow_gets_out(from_a_phone: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inspect_image(from_a_phone, "t")
        decode_image(from_a_phone, "t", min_side=448)


def test_a_png_that_announces_more_than_it_has_is_refused_before_memory_is_taken() -> None:
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 16, 6, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    data += struct.pack(">I", zlib.crc32(chunk)) + encoded(solid("red"))[33:]
    with pytest.raises(ImageError, match="over the limit of 89,478,485"):
        decode_image(data, "t", min_side=10)
