"""`look_of`: how a picture looks, in 193 characters; `Looks`: which pictures look nearly the same.

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
_MEAN = 0.08  # root mean square of the differences in brightness, as a share of its variation
_MOST = 0.25  # the greatest one, in the same measure
_SHADES = 18.0  # by which colours, and brightness in all, may differ
_CONTRAST = 1.25  # by which variation may differ, as a factor
_PLAIN = 3.0  # shades; what varies less is compared as if it varied so much
_LETTERS_APART = 2  # in proportions


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


class Looks:
    """Looks under numbers, that can be asked which is the first one near another."""

    def __init__(self) -> None:
        self._names: list[int] = []
        self._rows = np.empty((16, _WIDTH), np.float32)

    def __len__(self) -> int:
        return len(self._names)

    def add(self, look: str, name: int) -> None:
        """Add a look, under a number.

        Raises:
            ValueError: It is no look.
        """
        if len(self) == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[len(self)] = rows_of([look])[0]
        self._names.append(name)

    def first_near(self, look: str) -> int | None:
        """The number of the look that was added first of those near this one; ``None`` if none is.

        Raises:
            ValueError: It is no look.
        """
        near = np.flatnonzero(are_near(rows_of([look]), self._rows[: len(self)])[0])
        return self._names[int(near[0])] if len(near) else None


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


def are_near(ours: Floats, theirs: Floats) -> NDArray[np.bool_]:
    """Which looks look nearly the same.

    Args:
        ours: ``(n, 195)``, of `rows_of`.
        theirs: ``(m, 195)``, likewise.

    Returns:
        ``(n, m)``.
    """
    parts = slice(3, 3 + _PARTS**2)
    a, b = ours[:, parts], theirs[:, parts]
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * (a @ b.T)
    near: NDArray[np.bool_] = squares <= (_MEAN * _PARTS) ** 2 + 1e-4
    rows, columns = np.nonzero(near)
    one, other = ours[rows], theirs[columns]
    apart = np.abs(one - other)
    ratio = one[:, 2] / other[:, 2]
    near[rows, columns] = (
        (apart[:, 0] <= _LETTERS_APART)
        & (apart[:, 1] <= _SHADES)
        & (np.maximum(ratio, 1 / ratio) <= _CONTRAST)
        & (apart[:, parts].max(1, initial=0) <= _MOST)
        & (apart[:, parts.stop :].max(1, initial=0) <= _SHADES)
    )
    return near
