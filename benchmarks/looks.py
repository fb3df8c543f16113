r"""How often different pictures are taken for nearly the same, and the same ones are not.

    apt-get download openclipart-png gcompris-qt-data tuxpaint-stamps-default endless-sky-data \
        wesnoth-1.16-data mate-backgrounds            # Debian 12; dpkg -x each into pictures
    python -m benchmarks.looks pictures/usr/share
    apt-get download freeciv-data gimp-help-en kstars-data krita-data lincity-ng-data marble-data \
        pingus-data pokerth-data python-scipy-doc sagemath-doc scilab-doc python-skimage-doc \
        python-sklearn-doc python-statsmodels-doc python-pandas-doc colobot-common-textures \
        xmoto-data ardentryst kicad-doc-en octave-doc gnome-user-docs       # likewise, into others
    python -m benchmarks.looks others/usr/share --as-chosen

With `--as-chosen` nothing is chosen: it is counted what the limits of `unisem.images.looks` make of
all pictures of a folder, with the interval of Wilson at 95 %.

Every picture of a folder, no two of the same bytes, of at least 48 pixels a side; also those in
Qt's resource files. Of drawings that differ only in a number at the end of their names, as frames
of an animation do, the first. Of `openclipart-png`, shapes, gradients and icons are left out.

A source is a folder of pictures or a resource file. Sources are parted in two halves by the digest
of their names. Limits are chosen on the one: of those that take no more than one picture in a
thousand for another, the ones that know most pictures again. They are shown on the other.

`merged` are pictures that make way for one before them, `other` those of them that differ
somewhere: at 96 × 96 pixels some 8 × 8 by more than 25 shades on average. Two drawings that are
alike but for a detail are among these; `--sheet` draws them, to be judged by eye. The rest of a
row are shares of every fifth picture that is known again scaled to half its size, stored as JPEG
of quality 50, both, and made brighter by 4 %; of pictures of at least 96 pixels a side.

Beside `unisem.images.looks`: hashes of 64 bits that may differ in so many bits, with colours.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

from benchmarks.open_clip_art import LEFT_OUT
from benchmarks.qt_resources import read_resources
from unisem.errors import ImageError
from unisem.images.looks import NearLimits, are_near, first_near, look_of, rows_of
from unisem.images.reference import open_image

_SIDE, _LEAST = 96, 48
_ASKED = 5  # every fifth is looked for again
_SHARE = 0.001  # that may be taken for another
_GRID = tuple(product((0.06, 0.08, 0.1, 0.12), (0.2, 0.25, 0.3)))
_BEFORE = NearLimits(0.08, 0.25)
_SUFFIXES = (".png", ".jpg", ".webp")
_FRAME = re.compile(r"\d+$")
_OTHER = 25.0
_BLOCK = 250

Floats = NDArray[np.float64]
Features = tuple[str, Floats, Floats]


@dataclass(eq=False)
class Kind:
    """One way to tell, and what it makes of every picture and of its versions."""

    name: str
    rows: NDArray[np.generic]
    again: dict[str, NDArray[np.generic]]
    near: Callable[[NDArray[np.generic], NDArray[np.generic]], NDArray[np.bool_]]


class Half:
    """Pictures of half of the sources."""

    def __init__(self) -> None:
        self.small: list[NDArray[np.uint8]] = []
        self.seen: list[Features] = []
        self.kept: list[bytes] = []
        self.again: dict[str, list[Features]] = {}
        self.places: list[int] = []

    def take(self, image: Image.Image, content: bytes) -> None:
        """One more picture."""
        if len(self.seen) % _ASKED == 0 and min(image.size) >= _SIDE:
            self.places.append(len(self.seen))
            for name, version in versions(image):
                self.again.setdefault(name, []).append(features(version))
        self.small.append(small_of(image))
        self.seen.append(features(image))
        self.kept.append(content)

    def told_by(self, kind: Kind) -> Told:
        """What comes of it."""
        pairs = [(earlier, later) for later, earlier in merged(kind).items()]
        others = [pair for pair in pairs if differ(self.small[pair[0]], self.small[pair[1]])]
        known = [
            float(
                np.mean(
                    [
                        kind.near(kind.rows[place : place + 1], rows[number : number + 1])[0, 0]
                        for number, place in enumerate(self.places)
                    ]
                )
            )
            for rows in kind.again.values()
        ]
        return Told(len(pairs), others, known)


@dataclass(frozen=True, slots=True)
class Told:
    """What a way to tell makes of pictures: how many make way, wrongly which, and what it knows."""

    merged: int
    others: list[tuple[int, int]]
    known: list[float]

    def cells(self) -> list[str]:
        """Of a table."""
        shares = (f"{share:.3f}" for share in self.known)
        return [str(self.merged), str(len(self.others)), *shares]


def main() -> None:
    """Read, choose on the one half, show on the other, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--as-chosen", action="store_true", help="choose no limits, and count")
    parser.add_argument("--sheet", type=Path, help="where to draw the pairs that differ")
    options = parser.parse_args()
    if options.as_chosen:
        as_chosen(options.folder, options.sheet)
        return
    halves = read(options.folder)
    console = Console(width=100)
    for half, what in zip(halves, ("chosen on", "shown on"), strict=True):
        console.print(f"{what} {len(half.seen):,} pictures, {len(half.places):,} asked for again")
    one, other = halves
    versions_ = list(one.again)
    table = Table("root mean square", "greatest", "merged", "other", *versions_)
    best: tuple[float, NearLimits] | None = None
    for mean, most in _GRID:
        limits = NearLimits(mean, most)
        told = one.told_by(by_looks(one, limits))
        table.add_row(f"{mean:g}", f"{most:g}", *told.cells())
        score = float(np.mean(told.known))
        if len(told.others) <= _SHARE * len(one.seen) and (best is None or score > best[0]):
            best = score, limits
    console.print(table)
    table = Table("told by", "merged", "other", *versions_)
    for kind in hashes(other):
        table.add_row(kind.name, *other.told_by(kind).cells())
    for name, limits in {"before": _BEFORE, "chosen": best and best[1]}.items():
        if limits is not None:
            told = other.told_by(by_looks(other, limits))
            name = f"look, {name}: {limits.mean:g}, {limits.most:g}"
            table.add_row(name, *told.cells())
    console.print(table)
    if options.sheet is not None:
        pairs = [(other.kept[a], other.kept[b]) for a, b in told.others]
        sheet(pairs).save(options.sheet)


def as_chosen(folder: Path, drawn: Path | None) -> None:
    """Count what is merged of all pictures of a folder; print it."""
    small: list[NDArray[np.uint8]] = []
    looks: list[str] = []
    kept: list[bytes] = []
    for _, content, image in opened(folder):
        small.append(small_of(image))
        looks.append(look_of(image))
        kept.append(content)
    pairs = [(first, place) for place, first in enumerate(first_near(looks)) if first != place]
    others = [pair for pair in pairs if differ(small[pair[0]], small[pair[1]])]
    low, high = wilson(len(others), len(looks))
    print(f"{len(looks):,} pictures: {len(pairs):,} merged, {len(others)} of them other,")
    print(f"{len(others) / len(looks):.3%} ({low:.3%} to {high:.3%})")
    if drawn is not None:
        sheet([(kept[first], kept[place]) for first, place in others]).save(drawn)


def read(folder: Path) -> tuple[Half, Half]:
    """The pictures, by halves of the sources."""
    halves = Half(), Half()
    for source, content, image in opened(folder):
        halves[hashlib.sha256(source.encode()).digest()[0] % 2].take(image, content)
    return halves


def opened(folder: Path) -> Iterator[tuple[str, bytes, Image.Image]]:
    """Sources, files and pictures that are large enough, in the order of their digests."""
    data = {hashlib.sha256(it).digest(): (source, it) for source, it in pictures(folder)}
    for _, (source, content) in sorted(data.items()):
        try:
            image = open_image(content, min_side=448)
        except ImageError:
            continue
        if min(image.size) >= _LEAST:
            yield source, content, image


def small_of(image: Image.Image) -> NDArray[np.uint8]:
    """Of 96 pixels a side, by which it is told whether two differ somewhere."""
    return np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))


def wilson(count: int, total: int) -> tuple[float, float]:
    """The interval of a share at 95 %; Wilson 1927."""
    z, share = 1.959964, count / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    reach = z * np.sqrt(share * (1 - share) / total + (z / (2 * total)) ** 2) / (1 + z * z / total)
    return float(middle - reach), float(middle + reach)


def pictures(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The pictures' files, each with its source."""
    frames: set[tuple[Path, str]] = set()
    for path in sorted(it for it in folder.rglob("*") if it.is_file() and not it.is_symlink()):
        name = path.relative_to(folder)
        if path.suffix == ".rcc":
            for inside, content in read_resources(path):
                if inside.endswith(_SUFFIXES):
                    yield name.as_posix(), content
        elif path.suffix in _SUFFIXES:
            if name.parts[0] == "openclipart" and any(it in name.as_posix() for it in LEFT_OUT):
                continue
            frame = path.parent, _FRAME.sub("", path.stem)
            if name.parts[0] == "games":
                if frame in frames:
                    continue
                frames.add(frame)
            yield name.parent.as_posix(), path.read_bytes()


def versions(image: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    """The same picture otherwise."""
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    yield "half", half
    yield "JPEG", stored(image)
    yield "half, JPEG", stored(half)
    yield "brighter", image.point(lambda value: min(255, round(value * 1.04)))


def stored(image: Image.Image) -> Image.Image:
    """As a JPEG of quality 50."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=50)
    return Image.open(buffer).convert("RGB")


def features(image: Image.Image) -> Features:
    """The look, the 8 × 8 lowest frequencies, and brightness of 8 × 9 parts with 4 × 4 colours."""
    grey = image.convert("L")
    pixels = np.asarray(grey.resize((32, 32), Image.Resampling.BILINEAR), np.float64)
    angles = np.cos(np.pi / 32 * np.outer(np.arange(8), np.arange(32) + 0.5))
    frequencies = (angles @ pixels @ angles.T).ravel()
    rows = np.asarray(grey.resize((9, 8), Image.Resampling.BILINEAR), np.float64).ravel()
    colours = np.asarray(image.resize((4, 4), Image.Resampling.BOX), np.float64).ravel()
    return look_of(image), frequencies, np.concatenate([rows, colours])


def hashes(half: Half) -> Iterator[Kind]:
    """Hashes of 64 bits."""
    for name, bits in (("dHash", of_rows), ("pHash", of_frequencies)):
        for most in (2, 4):

            def near(ours: NDArray[np.generic], theirs: NDArray[np.generic], most: int = most):  # type: ignore[no-untyped-def]
                apart = (ours[:, None, :64] != theirs[None, :, :64]).sum(2)
                shades = np.abs(ours[:, None, 64:] - theirs[None, :, 64:]).max(2)  # type: ignore[operator]
                return (apart <= most) & (shades <= 16)

            rows = np.array(list(map(bits, half.seen)), np.int16)
            again = {key: np.array(list(map(bits, it)), np.int16) for key, it in half.again.items()}
            yield Kind(f"{name}, {most} bits", rows, again, near)


def by_looks(half: Half, limits: NearLimits) -> Kind:
    """Looks, with these limits."""

    def near(ours: NDArray[np.generic], theirs: NDArray[np.generic]) -> NDArray[np.bool_]:
        return are_near(ours, theirs, limits)  # type: ignore[arg-type]

    def rows(some: Sequence[Features]) -> NDArray[np.generic]:
        return rows_of([it[0] for it in some])

    again = {name: rows(some) for name, some in half.again.items()}
    return Kind("look", rows(half.seen), again, near)


def of_rows(it: Features) -> Floats:
    """Whether each part is brighter than its left neighbour."""
    parts = it[2][:72].reshape(8, 9)
    return np.concatenate([(parts[:, 1:] > parts[:, :-1]).ravel(), it[2][72:]])


def of_frequencies(it: Features) -> Floats:
    """Whether each frequency is above the median."""
    return np.concatenate([it[1] > np.median(it[1][1:]), it[2][72:]])


def merged(kind: Kind) -> dict[int, int]:
    """Pictures that make way, each for the first before it that it is near to and that stands."""
    first: dict[int, int] = {}
    for start in range(0, len(kind.rows), 50):
        block = kind.rows[start : start + 50]
        near = np.concatenate(
            [
                kind.near(block, kind.rows[other : other + _BLOCK])
                for other in range(0, start + 50, _BLOCK)
            ],
            axis=1,
        )
        for number, line in enumerate(near):
            place = start + number
            for earlier in np.flatnonzero(line[:place]).tolist():
                if earlier not in first:
                    first[place] = earlier
                    break
    return first


def differ(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Whether some part of two small pictures is another."""
    apart = np.abs(one.astype(np.float32) - other)
    return bool(apart.reshape(12, 8, 12, 8, 3).mean((1, 3, 4)).max() > _OTHER)


def sheet(pairs: list[tuple[bytes, bytes]]) -> Image.Image:
    """The pairs side by side, eight in a row."""
    rows = -(-len(pairs) // 8)
    drawn = Image.new("RGB", (8 * 210, max(1, rows) * 110), "grey")
    for number, pair in enumerate(pairs):
        left, top = number % 8 * 210, number // 8 * 110
        for place, content in enumerate(pair):
            image = open_image(content)
            image.thumbnail((100, 100))
            drawn.paste(image, (left + place * 102, top))
        ImageDraw.Draw(drawn).text((left, top + 98), str(number), fill="yellow")
    return drawn


if __name__ == "__main__":
    main()
