"""What becomes of files of every kind, as `docs/measured/decoding.md` tells it.

``python -m tests.images.test_every_kind`` prints the page's two tables.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.images.test_reference import png_announcing
from tests.support.pictures import encoded, noise
from tests.support.raw_files import raw_file
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace

PAGE = Path(__file__).parents[2] / "docs" / "measured" / "decoding.md"
SIZE = (96, 64)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="96" height="64"><title>A plan</title></svg>'


def _photo() -> Image.Image:
    return noise(3, (6, 4)).resize(SIZE, Image.Resampling.BICUBIC)


def _frames(kind: str) -> bytes:
    others = [noise(seed, SIZE) for seed in (4, 5)]
    return encoded(_photo(), kind, save_all=True, append_images=others)


def _heif(**options: object) -> bytes:
    pytest.importorskip("pillow_heif").register_heif_opener()
    return encoded(_photo(), "HEIF", **options)


def _jpeg_xl() -> bytes:
    return bytes(pytest.importorskip("imagecodecs").jpegxl_encode(np.asarray(_photo())))


def _pages() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tif"
        _photo().save(path, save_all=True, append_images=[noise(4)])
        return path.read_bytes()


def _raw(kind: str) -> bytes:
    return raw_file(kind, encoded(_photo(), "JPEG"), encoded(noise(1, (8, 8)), "JPEG"))


KINDS: dict[str, Callable[[], bytes]] = {
    **{name: lambda: encoded(_photo(), "JPEG") for name in ("jpg", "jpeg", "jpe", "jfif")},
    "mpo": lambda: encoded(_photo(), "MPO", save_all=True, append_images=[noise(4, SIZE)]),
    "png": lambda: encoded(_photo(), "PNG"),
    "apng": lambda: _frames("PNG"),
    "gif": lambda: _frames("GIF"),
    "webp": lambda: _frames("WEBP"),
    "bmp": lambda: encoded(_photo(), "BMP"),
    "tif": lambda: encoded(_photo(), "TIFF"),
    "tiff": _pages,
    **dict.fromkeys(("heic", "heif"), _heif),
    "avif": lambda: encoded(_photo(), "AVIF"),
    "jxl": _jpeg_xl,
    "svg": lambda: SVG,
    **{
        name: lambda name=name: _raw(name)  # type: ignore[misc]
        for name in ("cr2", "cr3", "nef", "arw", "dng", "orf", "rw2", "raf")
    },
    **{name: lambda: b"x" * 100 for name in ("mov", "psd", "svgz", "ico", "zip")},
}


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(_photo(), "JPEG", exif=exif)


def _large_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "a harbour " * 6_000
    return encoded(_photo(), "JPEG", exif=exif)


def _transparent() -> bytes:
    palette = _photo().quantize(8)
    return encoded(palette, "PNG", transparency=0)


ODDITIES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a name of many alphabets": ("Ωmega 漢字 🐯 -rf.jpg", lambda: encoded(_photo(), "JPEG")),
    "held sideways (EXIF orientation 6)": ("turned.jpg", _turned),
    "a PNG that announces 60,000 × 60,000 pixels": (
        "bomb.png",
        lambda: png_announcing(60_000, 60_000),
    ),
    "half a download": ("half.jpg", lambda: encoded(noise(1, SIZE), "JPEG")[:2_000]),
    "half an animation": ("half.gif", lambda: _frames("GIF")[:9_000]),
    "a PNG called .jpg": ("wrong.jpg", lambda: encoded(_photo(), "PNG")),
    "a web page called .jpg": ("page.jpg", lambda: b"<!DOCTYPE html><html></html>"),
    "an empty file": ("empty.png", bytes),
    "CMYK": ("print.jpg", lambda: encoded(_photo().convert("CMYK"), "JPEG")),
    "16 bits a sample": ("deep.png", lambda: encoded(Image.new("I;16", SIZE, 40_000), "PNG")),
    "a palette, one colour of it transparent": ("flat.png", _transparent),
    "60,000 characters of EXIF": ("wordy.jpg", _large_exif),
    "HEIC cut in its middle": ("half.heic", lambda: _heif(quality=90)[:700]),
    "one pixel": ("dot.gif", lambda: encoded(Image.new("RGB", (1, 1)), "GIF")),
    "a drawing whose picture is another file": (
        "sly.svg",
        lambda: SVG.replace(b"<title>", b'<image href="/etc/hostname"/><title>'),
    ),
}
LARGE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "108 megapixels, as telephones take them": (
        "108.jpg",
        lambda: encoded(Image.new("L", (12_000, 9_000), 90), "JPEG"),
    ),
    "200 megapixels": (
        "200.jpg",
        lambda: encoded(Image.new("L", (16_320, 12_240), 90), "JPEG"),
    ),
}


def became(files: dict[str, bytes]) -> dict[str, str]:
    """Index a folder of these files; what each became, in words."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home, "pictures")
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_bytes(data)
        with SemanticSpace.open(Path(home, "a.unisem"), encoder=ToyEncoder()) as space:
            report = space.add_folder(folder)
            records = list(space.store.select())
            vectors = space.store.vectors([record.id for record in records])
    told = {
        Path(it.name).name: f"skipped: {it.reason.partition(' (')[0]}"  # without a library's words
        for it in report.skipped
    }
    for record, rows in zip(records, vectors, strict=True):
        name = str(record.metadata["file_name"])
        assert record.image is not None
        assert rows is not None
        if "page" in record.metadata:
            told[name] = f"a document of {record.metadata['page']} pages"
            continue
        frames = " by two frames" if rows["image"].ndim == 2 else ""
        words = f", says “{record.text[:20]}”" if record.text else ""
        told[name] = f"a picture{frames}, {record.image.width} × {record.image.height}{words}"
    ignored = {name for name in files if Path(name).suffix in report.ignored}
    return told | dict.fromkeys(ignored, "ignored, and counted")


def kinds() -> list[str]:
    """The table of suffixes."""
    found = became({f"{suffix}.{suffix}": made() for suffix, made in KINDS.items()})
    rows: dict[str, list[str]] = {}
    for suffix in KINDS:
        rows.setdefault(found[f"{suffix}.{suffix}"], []).append(f"`.{suffix}`")
    return [f"| {', '.join(suffixes)} | {what} |" for what, suffixes in rows.items()]


def oddities(cases: dict[str, tuple[str, Callable[[], bytes]]]) -> list[str]:
    """The table of odd files."""
    found = became({name: made() for name, made in cases.values()})
    return [f"| {what} | {found[name]} |" for what, (name, _) in cases.items()]


@pytest.fixture(autouse=True)
def _extras() -> None:
    for library in ("pillow_heif", "imagecodecs", "resvg_py"):
        pytest.importorskip(library)


def test_every_suffix_becomes_what_the_page_says() -> None:
    told = PAGE.read_text(encoding="utf-8")
    assert [row for row in kinds() if row not in told] == []


@pytest.mark.skipif(os.name == "nt", reason="names that Windows does not take")
def test_odd_files_become_what_the_page_says() -> None:
    told = PAGE.read_text(encoding="utf-8")
    assert [row for row in oddities(ODDITIES) if row not in told] == []


@pytest.mark.slow
def test_large_files_become_what_the_page_says() -> None:
    told = PAGE.read_text(encoding="utf-8")
    assert [row for row in oddities(LARGE) if row not in told] == []


if __name__ == "__main__":
    for head, rows in (("suffix", kinds()), ("file", oddities(ODDITIES | LARGE))):
        sys.stdout.write("\n".join((f"| {head} | becomes |", "|---|---|", *rows, "", "")))
