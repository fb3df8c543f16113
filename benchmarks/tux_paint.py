"""The photographed stamps of Tux Paint, from Debian's `tuxpaint-stamps-default`.

Some 270 animals, plants, foods and things, cut out, each with an English caption ("A Sumatran
tiger."). Photographs are told from drawings by their path and their colours: 250 or more distinct
ones at five bits a channel, 2,500 or more opaque pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.captioned import CaptionedPictures, opaque_colours

STAMPS = "usr/share/tuxpaint/stamps"
GROUNDS = "usr/share/backgrounds"
SIDE = 224
_DRAWN = {"cartoon", "plastic", "symbols", "people", "military"}


def read_stamps(folder: Path) -> CaptionedPictures:
    """The photographs among the stamps, with the first line of their captions."""
    return CaptionedPictures.of(_stamps(folder))


def _stamps(folder: Path) -> Iterator[tuple[str, Image.Image]]:
    for path in sorted(folder.rglob("*.png")):
        described = path.with_suffix(".txt")
        inside = path.relative_to(folder)
        if not described.exists() or any(d in part for part in inside.parts for d in _DRAWN):
            continue
        picture = Image.open(path).convert("RGBA")
        opaque, colours = opaque_colours(picture)
        if max(picture.size) >= 64 and colours >= 250 and opaque >= 2500:
            yield described.read_text("utf-8", errors="replace").split("\n")[0].strip(), picture


def read_grounds(folder: Path) -> list[Image.Image]:
    """Photographs to put the stamps on, at most 900 pixels wide or high."""
    grounds = []
    for path in sorted(folder.glob("*.jpg")):
        picture = Image.open(path).convert("RGB")
        picture.thumbnail((900, 900))
        grounds.append(picture)
    return grounds


def cut(grounds: list[Image.Image], random: np.random.Generator) -> Image.Image:
    """A random square of a random ground."""
    ground = grounds[random.integers(len(grounds))]
    side = int(min(ground.size) * random.uniform(0.5, 1))
    left = int(random.integers(0, ground.width - side + 1))
    top = int(random.integers(0, ground.height - side + 1))
    return ground.crop((left, top, left + side, top + side)).resize((SIDE, SIDE))


def placed(picture: Image.Image, ground: Image.Image) -> Image.Image:
    """A stamp in the middle of a ground, 190 of its 224 pixels wide or high."""
    scale = 190 / max(picture.size)
    size = (max(1, int(picture.width * scale)), max(1, int(picture.height * scale)))
    stamp = picture.resize(size, Image.Resampling.BICUBIC)
    whole = ground.copy()
    at = ((SIDE - stamp.width) // 2, (SIDE - stamp.height) // 2)
    whole.paste(stamp, at, mask=stamp.getchannel("A"))
    return whole
