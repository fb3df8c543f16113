"""Finding the lines of text in a picture, by a map of where text is.

The map is that of a network with differentiable binarization (Liao et al. 2020,
https://arxiv.org/abs/1911.08947). What it takes for text is grouped into connected parts, and
around each the rectangle of least area is laid, which lies on a side of the part's convex hull
(Freeman and Shapira 1975). The network sees lines thinner than they are, so each rectangle is
widened by its area over its circumference, times a factor.

A picture of any length is looked at in tiles that overlap, of which one map is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import atan2, ceil, degrees, hypot

import numpy as np
from numpy.typing import NDArray
from PIL import Image

TILE = 1280
"""Pixels that a tile's side has at most."""
SIDE = 1280
"""Pixels that a picture's shorter side has at most when lines are looked for; else it is scaled."""
LENGTH = 20_480
"""Pixels that its longer side has at most, likewise."""

_MARGIN = 64  # pixels at a seam that are looked at twice
_STEP = 32  # what the sides of the network's input are multiples of
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)
_TEXT = 0.3  # of the map: here is text
_SURE = 0.5  # of the map, on average, in a rectangle that is a line
_WIDER = 1.6
_THINNEST = 3.0  # pixels of the map
_MOST = 2_000  # lines of a picture
_LARGEST = 2 * TILE * TILE  # pixels of the map around a part; what needs more is no line
_LOOKED_AT = 8  # times the map's size, that all parts together may need
_UPRIGHT = 1.5  # times as high as wide: a line that goes up or down

Map = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Where a line is, in pixels of a picture.

    Attributes:
        x: Of its middle.
        y: Of its middle.
        width: Along the line.
        height: Across it.
        along: The direction ``(dx, dy)`` in which it is read, of length 1.
    """

    x: float
    y: float
    width: float
    height: float
    along: tuple[float, float]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of what holds it."""
        dx, dy = (abs(side) / 2 for side in self.along)
        across, down = self.width * dx + self.height * dy, self.width * dy + self.height * dx
        return self.x - across, self.y - down, self.x + across, self.y + down

    @property
    def is_upright(self) -> bool:
        """Whether the line goes up or down."""
        return abs(self.along[1]) > abs(self.along[0])

    @property
    def lean(self) -> float:
        """Degrees by which the line leans clockwise from lying, or from going straight up."""
        dx, dy = self.along
        return degrees(atan2(dx, -dy) if self.is_upright else atan2(dy, dx))

    def cut(self, picture: Image.Image) -> Image.Image:
        """What the rectangle holds, the line upright if it is read in its direction."""
        dx, dy = self.along
        width, height = max(round(self.width), 1), max(round(self.height), 1)
        left = self.x - (self.width * dx - self.height * dy) / 2
        top = self.y - (self.width * dy + self.height * dx) / 2
        matrix = (dx, -dy, left, dy, dx, top)
        return picture.transform(
            (width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
        )


def lines_in(picture: Image.Image, network: Callable[[Map], Map]) -> list[Rectangle]:
    """Find lines.

    Args:
        picture: RGB.
        network: ``(1, 3, h, w)`` float32, blue first, to a map ``(1, 1, h, w)``, 0 to 1.
    """
    short, long = sorted(picture.size)
    scale = min(1.0, SIDE / short, LENGTH / long)
    if scale < 1:
        width, height = (max(round(side * scale), 1) for side in picture.size)
        seen = picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    else:
        seen = picture
    found = rectangles(_map(seen, network))
    return [_grown(one, picture.width / seen.width, picture.height / seen.height) for one in found]


def rectangles(text: Map) -> list[Rectangle]:
    """The lines in a map ``(h, w)``, from top to bottom."""
    from scipy.ndimage import find_objects, label

    parts, _ = label(text > _TEXT, np.ones((3, 3), int))
    found: list[Rectangle] = []
    room = _LOOKED_AT * text.size  # parts around each other could take for ever
    for number, place in enumerate(find_objects(parts), 1):
        area = text[place].size
        if len(found) == _MOST or area > min(room, _LARGEST):
            continue
        room -= area
        inside = parts[place] == number
        edge = _hull(_ends(inside))
        one = _least(edge)
        if min(one.width, one.height) < _THINNEST or _inside(one, text[place]) < _SURE:
            continue
        more = _WIDER * one.width * one.height / (one.width + one.height)
        if min(one.width, one.height) + more < _THINNEST + 2:
            continue
        found.append(
            Rectangle(
                one.x + place[1].start,
                one.y + place[0].start,
                one.width + more,
                one.height + more,
                one.along,
            )
        )
    return sorted(found, key=lambda one: (one.y, one.x))


def _map(picture: Image.Image, network: Callable[[Map], Map]) -> Map:
    """Where text is, tile by tile; ``(h, w)``."""
    whole = np.zeros((picture.height, picture.width), np.float32)
    for top, bottom in _tiles(picture.height):
        for left, right in _tiles(picture.width):
            part = _input(picture.crop((left, top, right, bottom)))
            seen = network(part)[0, 0, : bottom - top, : right - left]
            # Of what two tiles have looked at, each gives the half that is further from its edge.
            y, x = (_MARGIN // 2 if start else 0 for start in (top, left))
            whole[top + y : bottom, left + x : right] = seen[y:, x:]
    return whole


def _tiles(length: int) -> Iterator[tuple[int, int]]:
    """Starts and ends of tiles of about one size, which overlap by the margin."""
    count = max(1, ceil((length - _MARGIN) / (TILE - _MARGIN)))
    step = ceil((length - _MARGIN) / count) if count > 1 else length
    for number in range(count):
        start = number * step
        yield start, min(start + step + _MARGIN, length)


def _input(tile: Image.Image) -> Map:
    """A tile as the network wants it, ``(1, 3, h, w)``; what is missing repeats its edge."""
    pixels = np.asarray(tile, np.float32)[:, :, ::-1] / 255
    height, width = (-(-max(side, 2 * _STEP) // _STEP) * _STEP for side in pixels.shape[:2])
    more = (0, height - pixels.shape[0]), (0, width - pixels.shape[1]), (0, 0)
    pixels = (np.pad(pixels, more, mode="edge") - _MEAN) / _STD
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def _ends(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The first and the last point of each row, ``(n, 2)`` as x and y."""
    rows = np.flatnonzero(inside.any(axis=1))
    first = inside[rows].argmax(axis=1)
    last = inside.shape[1] - 1 - inside[rows, ::-1].argmax(axis=1)
    return np.array([*zip(first, rows, strict=True), *zip(last, rows, strict=True)], float)


def _hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The convex hull, ``(n, 2)``, by Andrew's monotone chain (1979)."""
    ordered = sorted({(float(x), float(y)) for x, y in points})
    chains: list[list[tuple[float, float]]] = []
    for way in (ordered, ordered[::-1]):
        chain: list[tuple[float, float]] = []
        for x, y in way:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], (x, y)) <= 0:
                chain.pop()
            chain.append((x, y))
        chains.append(chain[:-1])
    return np.array(chains[0] + chains[1] or ordered)


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _least(hull: NDArray[np.float64]) -> Rectangle:
    """The rectangle of least area around a convex hull; read from left to right, or upwards."""
    edges = np.roll(hull, -1, axis=0) - hull
    edges = edges[np.hypot(edges[:, 0], edges[:, 1]) > 0]
    if not len(edges):
        return Rectangle(float(hull[0, 0]), float(hull[0, 1]), 0.0, 0.0, (1.0, 0.0))
    along = edges / np.hypot(edges[:, 0], edges[:, 1])[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    u, v = hull @ along.T, hull @ across.T  # (points, edges)
    sizes = np.ptp(u, axis=0), np.ptp(v, axis=0)
    best = int(np.argmin(sizes[0] * sizes[1]))
    middle = (u[:, best].max() + u[:, best].min()) / 2 * along[best]
    middle = middle + (v[:, best].max() + v[:, best].min()) / 2 * across[best]
    width, height = float(sizes[0][best]), float(sizes[1][best])
    dx, dy = map(float, along[best])
    if abs(dx) < abs(dy):  # the other side is the one that lies
        dx, dy, width, height = -dy, dx, height, width
    if dx < 0:
        dx, dy = -dx, -dy
    if height >= _UPRIGHT * width:
        dx, dy, width, height = dy, -dx, height, width
    return Rectangle(float(middle[0]), float(middle[1]), width, height, (dx, dy))


def _inside(one: Rectangle, text: Map) -> float:
    """The map's mean in a rectangle."""
    y, x = np.indices(text.shape, dtype=np.float32)
    x, y, (dx, dy) = x - one.x, y - one.y, one.along
    holds = abs(x * dx + y * dy) <= one.width / 2 + 0.5
    holds &= abs(y * dx - x * dy) <= one.height / 2 + 0.5
    return float(text[holds].mean()) if holds.any() else 0.0


def _grown(one: Rectangle, across: float, down: float) -> Rectangle:
    """The same in a picture that is larger by these factors, which are nearly the same."""
    dx, dy = one.along
    along, over = hypot(dx * across, dy * down), hypot(dy * across, dx * down)
    return Rectangle(
        (one.x + 0.5) * across,
        (one.y + 0.5) * down,
        one.width * along,
        one.height * over,
        one.along,
    )
