"""How often different pictures are taken for nearly the same, and the same ones are not.

    python -m benchmarks.looks --clip-art /usr/share/openclipart --games /usr/share/gcompris-qt

5,000 pictures, no two of the same bytes: Debian's `openclipart-png` without shapes, gradients and
icons, and those of `gcompris-qt-data`; the first in the order of their digests. `merged` are
pictures that make way for one before them, `other` those of them that differ somewhere: at 96 × 96
pixels some 8 × 8 by more than 25 shades on average. Two drawings that are alike but for a detail
are among these; `--sheet` draws them, to be judged by eye. The rest of a row are shares of every
fifth picture that is known again scaled to half its size, stored as JPEG of quality 50, both, and
made brighter by 4 %; of pictures of at least 96 pixels a side.

Beside `unisem.images.looks`: hashes of 64 bits that may differ in so many bits, with colours.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

from benchmarks.open_clip_art import LEFT_OUT
from benchmarks.qt_resources import read_resources
from unisem.errors import ImageError
from unisem.images.looks import are_near, look_of, rows_of
from unisem.images.reference import open_image

_SIDE = 96
_ASKED = 5  # every fifth is looked for again
_OTHER = 25.0
_BLOCK = 250

Near = Callable[[slice], NDArray[np.bool_]]


@dataclass(eq=False)
class Kind:
    """One way to tell, and what it makes of every picture and of its versions."""

    name: str
    rows: NDArray[np.generic]
    again: dict[str, NDArray[np.generic]]
    near: Callable[[NDArray[np.generic], NDArray[np.generic]], NDArray[np.bool_]]


def main() -> None:
    """Read, compare, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip-art", type=Path, required=True)
    parser.add_argument("--games", type=Path)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--sheet", type=Path, help="where to draw the pairs that differ")
    options = parser.parse_args()
    data = sorted(
        {
            hashlib.sha256(it).digest(): it for it in pictures(options.clip_art, options.games)
        }.items()
    )
    small: list[NDArray[np.uint8]] = []
    seen: list[tuple[str, NDArray[np.float64], NDArray[np.float64]]] = []
    again: dict[str, list[tuple[str, NDArray[np.float64], NDArray[np.float64]]]] = {}
    places, kept = [], []
    for _, content in data:
        if len(seen) == options.count:
            break
        try:
            image = open_image(content, min_side=448)
        except ImageError:
            continue
        if len(seen) % _ASKED == 0 and min(image.size) >= _SIDE:
            places.append(len(seen))
            for name, version in versions(image):
                again.setdefault(name, []).append(features(version))
        small.append(np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)))
        seen.append(features(image))
        kept.append(content)
    console = Console()
    console.print(f"{len(seen):,} pictures, {len(places):,} of them looked for again")
    table = Table("told by", "merged", "other", *again)
    for kind in kinds(seen, again):
        first = merged(kind)
        pairs = [(earlier, later) for later, earlier in first.items()]
        others = [pair for pair in pairs if differ(small[pair[0]], small[pair[1]])]
        known = [
            np.mean(
                [
                    kind.near(kind.rows[place : place + 1], rows[number : number + 1])[0, 0]
                    for number, place in enumerate(places)
                ]
            )
            for rows in kind.again.values()
        ]
        table.add_row(
            kind.name, str(len(pairs)), str(len(others)), *(f"{share:.3f}" for share in known)
        )
        if kind.name == "look" and options.sheet is not None:
            sheet([(kept[a], kept[b]) for a, b in others]).save(options.sheet)
    console.print(table)


def pictures(clip_art: Path, games: Path | None) -> Iterator[bytes]:
    """The pictures' files."""
    for path in sorted((clip_art / "png").rglob("*.png")):
        name = path.relative_to(clip_art / "png").as_posix()
        if not any(part in name for part in LEFT_OUT):
            yield path.read_bytes()
    for path in sorted(games.rglob("*.rcc")) if games is not None else ():
        for name, content in read_resources(path):
            if name.endswith((".webp", ".png", ".jpg")):
                yield content


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


def features(image: Image.Image) -> tuple[str, NDArray[np.float64], NDArray[np.float64]]:
    """The look, the 8 × 8 lowest frequencies, and brightness of 8 × 9 parts with 4 × 4 colours."""
    grey = image.convert("L")
    pixels = np.asarray(grey.resize((32, 32), Image.Resampling.BILINEAR), np.float64)
    angles = np.cos(np.pi / 32 * np.outer(np.arange(8), np.arange(32) + 0.5))
    frequencies = (angles @ pixels @ angles.T).ravel()
    rows = np.asarray(grey.resize((9, 8), Image.Resampling.BILINEAR), np.float64).ravel()
    colours = np.asarray(image.resize((4, 4), Image.Resampling.BOX), np.float64).ravel()
    return look_of(image), frequencies, np.concatenate([rows, colours])


def kinds(
    seen: list[tuple[str, NDArray[np.float64], NDArray[np.float64]]],
    again: dict[str, list[tuple[str, NDArray[np.float64], NDArray[np.float64]]]],
) -> Iterator[Kind]:
    """Every way to tell."""
    for name, bits in (("dHash", of_rows), ("pHash", of_frequencies)):
        for most in (2, 4, 6, 8):

            def near(ours: NDArray[np.generic], theirs: NDArray[np.generic], most: int = most):  # type: ignore[no-untyped-def]
                apart = (ours[:, None, :64] != theirs[None, :, :64]).sum(2)
                shades = np.abs(ours[:, None, 64:] - theirs[None, :, 64:]).max(2)  # type: ignore[operator]
                return (apart <= most) & (shades <= 16)

            rows = np.array([bits(it) for it in seen], np.int16)
            others = {key: np.array(list(map(bits, its)), np.int16) for key, its in again.items()}
            yield Kind(f"{name}, {most} bits", rows, others, near)
    looks = {key: rows_of([it[0] for it in its]) for key, its in again.items()}
    yield Kind("look", rows_of([it[0] for it in seen]), dict(looks), are_near)  # type: ignore[arg-type]


def of_rows(it: tuple[str, NDArray[np.float64], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Whether each part is brighter than its left neighbour."""
    parts = it[2][:72].reshape(8, 9)
    return np.concatenate([(parts[:, 1:] > parts[:, :-1]).ravel(), it[2][72:]])


def of_frequencies(it: tuple[str, NDArray[np.float64], NDArray[np.float64]]) -> NDArray[np.float64]:
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
