"""The readers of the photographs that only measure."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.captioned import CaptionedPictures, opaque_colours
from benchmarks.gcompris import caption_of, read_drawings, read_photographs
from benchmarks.qt_resources import read_resources
from benchmarks.tux_paint import read_stamps

Tree = dict[str, "bytes | Tree"]


def resource_file(tree: Tree, *, compressed: bool = False) -> bytes:
    """A resource file of version 2, as Qt's compiler lays it out: level by level."""
    nodes, names, contents = b"", b"", b""
    level: list[tuple[str, bytes | Tree]] = [("", tree)]
    free = 1
    while level:
        below: list[tuple[str, bytes | Tree]] = []
        for name, value in level:
            nodes += struct.pack(">I", len(names))
            names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
            if isinstance(value, dict):
                nodes += struct.pack(">HIIQ", 2, len(value), free, 0)
                free += len(value)
                below += value.items()
            else:
                nodes += struct.pack(">HHHIQ", int(compressed), 0, 0, len(contents), 0)
                if compressed:
                    value = struct.pack(">I", len(value)) + zlib.compress(value)
                contents += struct.pack(">I", len(value)) + value
        level = below
    places = (20 + len(contents), 20, 20 + len(contents) + len(nodes))
    return b"qres" + struct.pack(">IIII", 2, *places) + contents + nodes + names


def webp(seed: int, side: int = 200) -> bytes:
    data = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(noise).save(data, "webp")
    return data.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
def test_resources_are_read_as_they_were_written(tmp_path: Path, compressed: bool) -> None:
    files: Tree = {"a": {"b": {"ä.txt": b"one", "c.bin": bytes(99)}, "d": b""}, "e": b"two"}
    path = tmp_path / "some.rcc"
    path.write_bytes(resource_file(files, compressed=compressed))
    expected = {"a/b/ä.txt": b"one", "a/b/c.bin": bytes(99), "a/d": b"", "e": b"two"}
    assert dict(read_resources(path)) == expected


def test_another_file_is_no_resource_file(tmp_path: Path) -> None:
    (tmp_path / "some.rcc").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"some\.rcc is no resource file"):
        list(read_resources(tmp_path / "some.rcc"))


def test_photographs_and_drawings_are_told_by_their_game(tmp_path: Path) -> None:
    tools: Tree = {"hammer1.webp": webp(0), "hammer2.webp": webp(1), "small.webp": webp(2, 40)}
    games: Tree = {
        "categorization": {
            "resource": {"images": {"tools": tools, "numbers": {"1.webp": webp(3)}}}
        },
        "erase": {"resource": {"red_panda.webp": webp(4), "board": {"red_panda.webp": webp(5)}}},
        "lang": {"resource": {"words_sample": {"brother.webp": webp(6)}}},
    }
    (tmp_path / "all.rcc").write_bytes(resource_file({"src": {"activities": games}}))
    photographs = read_photographs(tmp_path)
    assert photographs.captions == ["hammer", "red panda"]
    assert photographs.relevant == [[0, 1], [2]]
    assert read_drawings(tmp_path).captions == ["brother"]


@pytest.mark.parametrize("stem", ["polar_bear", "polarBear", "PolarBear12"])
def test_file_names_become_words(stem: str) -> None:
    assert caption_of(stem) == "polar bear"


def test_stamps_are_photographs_with_a_caption(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)
    for name, pixels in {
        "animals/tiger": noise,
        "animals/flat": np.zeros((80, 80, 3), np.uint8),
        "animals/untold": noise,
        "cartoon/cat": noise,
    }.items():
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
        if "untold" not in name:
            path.with_suffix(".txt").write_text(f"A {path.stem}.\nfi=Tiikeri.\n")
    stamps = read_stamps(tmp_path)
    assert stamps.captions == ["A tiger."]
    assert stamps.relevant == [[0]]


def test_pictures_are_gathered_by_caption_and_colours_counted() -> None:
    one, two, three = (Image.new("RGBA", (4, 4), (value, 0, 0, 255)) for value in (0, 9, 10))
    gathered = CaptionedPictures.of([("b", one), ("a", two), ("b", three)])
    assert gathered.captions == ["a", "b"]
    assert gathered.pictures == [two, one, three]
    assert gathered.relevant == [[0], [1, 2]]
    one.putpixel((0, 0), (255, 255, 255, 255))
    one.putpixel((1, 0), (99, 0, 0, 0))
    assert opaque_colours(one) == (15, 2)
