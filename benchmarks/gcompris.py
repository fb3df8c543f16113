"""Photographs and drawings of GCompris, from Debian's `gcompris-qt-data`.

Games for children that show animals in the open, tools, windmills, monuments: photographs, named by
their files ("northern_harrier", "hammer3"). The words that one game teaches are drawn, all by one
hand ("brother", "raspberry").
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from benchmarks.captioned import CaptionedPictures, opaque_colours
from benchmarks.qt_resources import read_resources

GAMES = "usr/share/gcompris-qt"
_SHOWN = re.compile(
    r"/(explore_(farm|world)_animals/resource/animals"
    r"|explore_monuments/resource/\w+"
    r"|erase/resource"
    r"|categorization/resource/images/(tools|fishes|renewable|monuments|others))$"
)
_WORDS = re.compile(r"/lang/resource/words_sample$")
_SIDE = 120  # pixels; what is smaller belongs to a game's board
_COLOURS = 500  # of a photograph, or of a shaded drawing


def read_photographs(folder: Path) -> CaptionedPictures:
    """Photographs by what their files are called, without the numbers."""
    return CaptionedPictures.of(_pictures(folder, _SHOWN))


def read_drawings(folder: Path) -> CaptionedPictures:
    """Drawn words."""
    return CaptionedPictures.of(_pictures(folder, _WORDS))


def _pictures(folder: Path, inside: re.Pattern[str]) -> Iterator[tuple[str, Image.Image]]:
    for path in sorted(folder.rglob("*.rcc")):
        for name, content in read_resources(path):
            place, _, file = name.rpartition("/")
            if inside.search(place) and file.endswith(".webp"):
                picture = Image.open(io.BytesIO(content)).convert("RGBA")
                small = picture.resize((128, 128), Image.Resampling.NEAREST)
                if min(picture.size) >= _SIDE and opaque_colours(small)[1] >= _COLOURS:
                    yield caption_of(file.removesuffix(".webp")), picture


def caption_of(stem: str) -> str:
    """``"polar_bear"``, ``"polarBear"`` and ``"polarBear2"`` are a polar bear."""
    words = re.sub(r"\d+$", "", stem)
    return re.sub(r"([a-z])([A-Z])", r"\1 \2", words).replace("_", " ").lower().strip()
