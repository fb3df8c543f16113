"""`look_of`: how a picture looks, in 193 characters; `first_near`: which look nearly the same.

A look is a picture's proportions, the brightness of its 12 × 12 parts and the colours of its 4 × 4
parts, each a letter. Two pictures look nearly the same if their proportions and colours are, and if
what is bright and what is dark in the one is so in the other. That is compared part by part, as
multiples of how much brightness varies in the picture, so that a faint drawing has to be the same
as strictly as a photograph, and that one which is scaled, made a little brighter or stored with
other losses is still the same. Hashes of 64 bits were tried first, and take the five of spades for
the six; see ``docs/concepts/pictures.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_VALUES = {letter: value for value, letter in enumerate(_LETTERS)}
_STEP = 255 / 63  # of 255 shades, from a letter to the next one
_ASPECT = 0.05  # of the logarithm to base 2 of width by height, likewise
_SIDE, _PARTS, _COARSE = 48, 12, 4
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
LENGTH = 1 + _PARTS**2 + 3 * _COARSE**2
"""Characters of a look."""

_WIDTH = 3 + _PARTS**2 + 3 * _COARSE**2  # of a row
_SHADES = 18.0  # by which colours, and brightness in all, may differ
_CONTRAST = 1.25  # by which variation may differ, as a factor
_PLAIN = 3.0  # shades; what varies less is compared as if it varied so much
_LETTERS_APART = 2  # in proportions
_BLOCK = 256  # looks that are compared with the first ones of the groups together
_AT_ONCE = 4096  # of those
_PAIRS = 16_384  # pairs whose parts are compared together
_SLACK = 1e-4  # of a sum of squares, for what float32 makes of it
_BRIGHTNESS = slice(3, 3 + _PARTS**2)  # of a row
_COLOURS = slice(3 + _PARTS**2, _WIDTH)


@dataclass(frozen=True, slots=True)
class NearLimits:
    """How much the parts of two pictures may differ in brightness, as multiples of its variation.

    Attributes:
        mean: Root mean square of the differences.
        most: The greatest one.
    """

    mean: float = 0.12
    most: float = 0.2


def look_of(image: Image.Image) -> str:
    """What a picture looks like.

    Args:
        image: Upright RGB, as `unisem.images.decoding.decode_image` gives it.
    """
    small = image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    pixels = np.asarray(small, np.float32)
    grey = _means(pixels @ _GREY, _PARTS).ravel()
    colours = _means(pixels, _COARSE).ravel()
    aspect = np.log2(image.width / image.height) / _ASPECT + 32
    values = np.rint(np.concatenate([[aspect], grey / _STEP, colours / _STEP])).clip(0, 63)
    return "".join(_LETTERS[value] for value in values.astype(int))


def _means(pixels: Floats, parts: int) -> Floats:
    """The means of so many parts a side."""
    size = _SIDE // parts
    means: Floats = pixels.reshape(parts, size, parts, size, *pixels.shape[2:]).mean((1, 3))
    return means


def is_look(text: object) -> bool:
    """Whether something, as of a stranger's space, is a look."""
    return isinstance(text, str) and len(text) == LENGTH and set(text) <= _VALUES.keys()


def first_near(looks: Sequence[str | None]) -> list[int]:
    """For each picture the place of the one that stands for it; its own if it does itself.

    Each joins the first of those before it that it is near to and that has joined no other.

    Args:
        looks: In the order that they are gone through in; ``None`` is near nothing.

    Raises:
        ValueError: One is no look.
    """
    first = list(range(len(looks)))
    places = [place for place, look in enumerate(looks) if look is not None]
    rows = rows_of([look for look in looks if look is not None])
    kept = _Kept()
    for start in range(0, len(places), _BLOCK):
        block, here = rows[start : start + _BLOCK], places[start : start + _BLOCK]
        owners = kept.first_near(block)
        open_ = np.flatnonzero(owners < 0)
        among = are_near(block[open_], block[open_])
        new: list[int] = []  # numbers of those that are open
        for number, it in enumerate(open_):
            earlier = np.flatnonzero(among[number, new])
            if len(earlier):
                first[here[it]] = here[open_[new[earlier[0]]]]
            else:
                new.append(number)
        for it in np.flatnonzero(owners >= 0):
            first[here[it]] = int(owners[it])
        kept.add(block[open_[new]], [here[it] for it in open_[new]])
    return first


class _Kept:
    """The looks of pictures that stand for themselves, in order."""

    def __init__(self) -> None:
        self._blocks: list[Floats] = []
        self._places: list[int] = []

    def add(self, rows: Floats, places: Sequence[int]) -> None:
        if self._blocks and len(self._blocks[-1]) + len(rows) <= _AT_ONCE:
            self._blocks[-1] = np.concatenate([self._blocks[-1], rows])
        else:
            self._blocks.append(rows)
        self._places += places

    def first_near(self, rows: Floats) -> NDArray[np.intp]:
        """The place of the first that each is near to; -1 if it is near none."""
        found = np.full(len(rows), -1)
        start = 0
        for block in self._blocks:
            open_ = np.flatnonzero(found < 0)
            near = are_near(rows[open_], block)
            hit = near.any(1)
            found[open_[hit]] = np.array(self._places)[near[hit].argmax(1) + start]
            start += len(block)
        return found


def rows_of(looks: Sequence[str]) -> Floats:
    """Looks as ``(n, 195)`` float32 rows: proportions, brightness, variation, its parts, colours.

    The parts' brightness is as multiples of the variation around the mean.

    Raises:
        ValueError: One is no look.
    """
    for look in looks:
        if not is_look(look):
            raise ValueError(f"{str(look)[:100]!r} is no look")
    values = np.array([[_VALUES[letter] for letter in look] for look in looks], np.float32)
    values = values.reshape(-1, LENGTH)
    grey = values[:, 1 : 1 + _PARTS**2] * _STEP
    mean = grey.mean(1, keepdims=True)
    variation = np.maximum(grey.std(1, keepdims=True), _PLAIN)
    parts = (grey - mean) / variation
    colours = values[:, 1 + _PARTS**2 :] * _STEP
    return np.concatenate([values[:, :1], mean, variation, parts, colours], 1)


def are_near(ours: Floats, theirs: Floats, limits: NearLimits | None = None) -> NDArray[np.bool_]:
    """Which looks look nearly the same.

    Args:
        ours: ``(n, 195)``, of `rows_of`.
        theirs: ``(m, 195)``, likewise.
        limits: By default those that were chosen, see ``docs/measured/duplicates.md``.

    Returns:
        ``(n, m)``.
    """
    limits = limits or NearLimits()
    near = candidates(ours, theirs, limits)
    rows, columns = np.nonzero(near)
    for start in range(0, len(rows), _PAIRS):
        here = rows[start : start + _PAIRS], columns[start : start + _PAIRS]
        one, other = ours[here[0]], theirs[here[1]]
        apart = np.abs(one - other)
        ratio = one[:, 2] / other[:, 2]
        near[here] = (
            (apart[:, 0] <= _LETTERS_APART)
            & (apart[:, 1] <= _SHADES)
            & (np.maximum(ratio, 1 / ratio) <= _CONTRAST)
            & ((apart[:, _BRIGHTNESS] ** 2).sum(1) <= (limits.mean * _PARTS) ** 2 + _SLACK)
            & (apart[:, _BRIGHTNESS].max(1, initial=0) <= limits.most)
            & (apart[:, _COLOURS].max(1, initial=0) <= _SHADES)
        )
    return near


def candidates(ours: Floats, theirs: Floats, limits: NearLimits) -> NDArray[np.bool_]:
    """All pairs that are near and few others, ``(n, m)``; told by sums, which cost little.

    Brightness alone does not tell plain pictures, nor those that only get darker from one side to
    the other: their parts are all alike, whatever the colours.
    """
    found = _within(ours[:, _BRIGHTNESS], theirs[:, _BRIGHTNESS], (limits.mean * _PARTS) ** 2)
    if found.any():
        most = 3 * (_COARSE * _SHADES) ** 2  # where each colour of each part is as far as it may
        found &= _within(ours[:, _COLOURS], theirs[:, _COLOURS], most)
    return found


def _within(ours: Floats, theirs: Floats, squares: float) -> NDArray[np.bool_]:
    """Whose sum of squared differences is at most that, or a little more, ``(n, m)``."""
    mine, its = (ours**2).sum(1)[:, None], (theirs**2).sum(1)
    slack = _SLACK + 4e-6 * (mine + its)  # of the matrix product
    near: NDArray[np.bool_] = mine + its - 2 * (ours @ theirs.T) <= squares + slack
    return near
