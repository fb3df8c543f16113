"""Seeded pictures of a few shapes, captions that say exactly what is there, and swapped captions.

Three kinds of scenes: two objects ("a red circle to the left of a green square"), counts ("three
blue stars") and three objects in a row ("a red circle, a green square and a blue star from left to
right"). A scene's wrong captions have the same words, or nearly: colours, shapes, sides or counts
are swapped, so that a bag of words and of things seen cannot tell them from the true one.

`with_swaps` draws the wrong captions, too: pictures among which only who is where tells them apart.

Some combinations of colour, shape and relation are held out: no scene of training shows a thing of
that colour and shape on that side of another.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from unisem.images.reference import ImageRef
from unisem.pairs import Pair, PairDataset
from unisem.pairs.checking import check_pairs

COLOURS = {
    "red": (214, 40, 40),
    "green": (40, 150, 60),
    "blue": (40, 80, 210),
    "yellow": (240, 200, 20),
    "purple": (140, 50, 160),
    "black": (20, 20, 20),
}
SHAPES = ("circle", "square", "triangle", "star")
RELATIONS = {
    "to the left of": "to the right of",
    "to the right of": "to the left of",
    "above": "below",
    "below": "above",
}
COUNTS = ("two", "three", "four", "five")
ROWS = ("from left to right", "from top to bottom")
SIDE = 224  # pixels
_SIZES = (30, 46)  # pixels of an object, from and to below

Thing = tuple[str, str]  # colour and shape


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture and what is said of it.

    Attributes:
        kind: ``"two objects"``, ``"counts"`` or ``"three objects"``.
        true: Every caption that is right; the first is the picture's own.
        wrong: Three captions that are not.
        combinations: Colour, shape and relation of each thing in it.
        drawn: Colour, shape, middle and size of each thing.
    """

    kind: str
    true: tuple[str, ...]
    wrong: tuple[str, ...]
    combinations: frozenset[tuple[str, str, str]]
    drawn: tuple[tuple[str, str, float, float, float], ...]

    def draw(self) -> Image.Image:
        """The picture."""
        image = Image.new("RGB", (SIDE, SIDE), "white")
        pen = ImageDraw.Draw(image)
        for colour, shape, x, y, size in self.drawn:
            _draw(pen, COLOURS[colour], shape, x, y, size / 2)
        return image


def held_out_combinations(seed: int = 0) -> frozenset[tuple[str, str, str]]:
    """One in eight combinations of colour, shape and relation."""
    every = list(itertools.product(COLOURS, SHAPES, RELATIONS))
    chosen = np.random.default_rng([seed, 7]).permutation(len(every))[: len(every) // 8]
    return frozenset(every[number] for number in chosen)


def scenes(seed: int, held_out: frozenset[tuple[str, str, str]]) -> Iterator[Scene]:
    """Scenes without end, half of them of two objects; none has a held-out combination."""
    rng = np.random.default_rng(seed)
    kinds = [_two, _counts, _two, _three, _two, _counts, _three, _two]
    for number in itertools.count():
        while (scene := kinds[number % len(kinds)](rng)).combinations & held_out:
            pass
        yield scene


def scenes_of_held_out(seed: int, held_out: frozenset[tuple[str, str, str]]) -> Iterator[Scene]:
    """Scenes without end of two objects, of which one at least is a held-out combination."""
    rng = np.random.default_rng(seed)
    while True:
        if (scene := _two(rng)).combinations & held_out:
            yield scene


def as_dataset(made: Sequence[Scene], folder: Path) -> PairDataset:
    """Draw scenes into a folder, each with its own caption, checked."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = []
    for number, scene in enumerate(made):
        path = folder / f"{number:05}.png"
        if not path.exists():
            scene.draw().save(path)
        pairs.append(Pair.of(ImageRef(path=path, root=folder), scene.true[0], path.name))
    checked = check_pairs(PairDataset(tuple(pairs))).dataset
    if len(checked) != len(made):
        raise ValueError(f"{folder}: {len(made) - len(checked)} scenes are drawn twice")
    return checked


def pictured(caption: str, rng: np.random.Generator) -> Scene:
    """A scene of which a caption, worded as those of `scenes`, is the first true one."""
    things = re.findall(rf"({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})", caption)
    if len(things) == 1:
        number, ((colour, _),) = COUNTS.index(caption.split()[0]), things
        other = str(rng.choice([name for name in COLOURS if name != colour]))
        return _counted_scene(number, things[0], other, rng)
    if len(things) == 2:
        relation = next(name for name in RELATIONS if f" {name} " in caption)
        return _related_scene(things[0], relation, things[1], rng)
    return _row_scene(things, next(row for row in ROWS if caption.endswith(row)), rng)


def with_swaps(
    made: Iterable[Scene], seed: int, held_out: frozenset[tuple[str, str, str]] = frozenset()
) -> Iterator[Scene]:
    """Each scene, and one of each of its wrong captions, none with a held-out combination."""
    rng = np.random.default_rng([seed, 8])
    for scene in made:
        swaps = [pictured(caption, rng) for caption in scene.wrong]
        yield from (it for it in (scene, *swaps) if not it.combinations & held_out)


def _two(rng: np.random.Generator) -> Scene:
    (one, other), relation = _things(rng, 2), str(rng.choice([*RELATIONS]))
    return _related_scene(one, relation, other, rng)


def _related_scene(one: Thing, relation: str, other: Thing, rng: np.random.Generator) -> Scene:
    back = RELATIONS[relation]
    low, high = rng.uniform(0.14, 0.40), rng.uniform(0.60, 0.86)
    first, second = (low, high) if relation in ("to the left of", "above") else (high, low)
    level = rng.uniform(0.2, 0.8)  # and the other nearly as high, so that no other relation holds
    other_level = np.clip(level + rng.uniform(-0.6, 0.6) * (high - low), 0.12, 0.88)
    places = [(first, level), (second, other_level)]
    if relation in ("above", "below"):
        places = [(y, x) for x, y in places]
    swapped = (other[0], one[1]), (one[0], other[1])
    return Scene(
        "two objects",
        (_related(one, relation, other), _related(other, back, one)),
        (
            _related(swapped[0], relation, swapped[1]),
            _related(swapped[1], relation, swapped[0]),
            _related(one, back, other),
        ),
        frozenset({(*one, relation), (*other, back)}),
        tuple(
            (*thing, *_scaled(place), _size(rng))
            for thing, place in zip((one, other), places, strict=True)
        ),
    )


def _counts(rng: np.random.Generator) -> Scene:
    thing, other = _things(rng, 2)
    return _counted_scene(int(rng.integers(len(COUNTS))), thing, other[0], rng)


def _counted_scene(number: int, thing: Thing, colour: str, rng: np.random.Generator) -> Scene:
    wrong = [count for count in range(len(COUNTS)) if count != number]
    wrong.sort(key=lambda count: (abs(count - number), count))
    cells = [
        ((column + rng.uniform(0.4, 0.6)) / 3, (row + rng.uniform(0.4, 0.6)) / 3)
        for row, column in (divmod(cell, 3) for cell in rng.permutation(9)[: number + 2].tolist())
    ]
    drawn = tuple((*thing, *_scaled(cell), _size(rng)) for cell in cells)
    return Scene(
        "counts",
        (_counted(number, thing),),
        (
            _counted(wrong[0], thing),
            _counted(wrong[1], thing),
            _counted(number, (colour, thing[1])),
        ),
        frozenset(),
        drawn,
    )


def _three(rng: np.random.Generator) -> Scene:
    things = _things(rng, 3)
    return _row_scene(things, str(rng.choice(ROWS)), rng)


def _row_scene(things: Sequence[Thing], row: str, rng: np.random.Generator) -> Scene:
    along = [(place + rng.uniform(0.35, 0.65)) / 3 for place in range(3)]
    across = rng.uniform(0.25, 0.75) + rng.uniform(-0.12, 0.12, 3)
    places = list(zip(along, across, strict=True))
    if row == ROWS[1]:
        places = [(y, x) for x, y in places]
    a, b, c = things
    return Scene(
        "three objects",
        (_in_row(things, row),),
        (
            _in_row([(b[0], a[1]), (a[0], b[1]), c], row),
            _in_row([a, (c[0], b[1]), (b[0], c[1])], row),
            _in_row([c, b, a], row),
        ),
        frozenset(),
        tuple(
            (*thing, *_scaled(place), _size(rng))
            for thing, place in zip(things, places, strict=True)
        ),
    )


def _things(rng: np.random.Generator, count: int) -> list[Thing]:
    colours, shapes = rng.permutation([*COLOURS])[:count], rng.permutation(SHAPES)[:count]
    return [(str(colour), str(shape)) for colour, shape in zip(colours, shapes, strict=True)]


def _size(rng: np.random.Generator) -> float:
    return float(rng.uniform(*_SIZES))


def _scaled(place: tuple[float, float]) -> tuple[float, float]:
    return float(place[0] * SIDE), float(place[1] * SIDE)


def _named(thing: Thing) -> str:
    return f"a {thing[0]} {thing[1]}"


def _related(one: Thing, relation: str, other: Thing) -> str:
    return f"{_named(one)} {relation} {_named(other)}"


def _counted(number: int, thing: Thing) -> str:
    return f"{COUNTS[number]} {thing[0]} {thing[1]}s"


def _in_row(things: Sequence[Thing], row: str) -> str:
    first, second, third = map(_named, things)
    return f"{first}, {second} and {third} {row}"


def _draw(
    pen: ImageDraw.ImageDraw,
    colour: tuple[int, int, int],
    shape: str,
    x: float,
    y: float,
    half: float,
) -> None:
    if shape == "circle":
        pen.ellipse((x - half, y - half, x + half, y + half), fill=colour)
    elif shape == "square":
        pen.rectangle((x - half, y - half, x + half, y + half), fill=colour)
    else:
        corners = 3 if shape == "triangle" else 10
        radii = (1.1, 1.1) if shape == "triangle" else (1.2, 0.5)
        points = [
            (
                x + half * radii[n % 2] * math.sin(2 * math.pi * n / corners),
                y - half * radii[n % 2] * math.cos(2 * math.pi * n / corners),
            )
            for n in range(corners)
        ]
        pen.polygon(points, fill=colour)
