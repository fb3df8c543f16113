"""An encoder without a model: fast, deterministic, and it knows a few colours.

Words hash to fixed random directions; a picture gets the direction of the colour word nearest to
its mean colour, plus a little of its pixels, so that "red" finds red pictures and no two pictures
are equal.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence

import numpy as np
from PIL import Image

from unisem.encoders import Encoder, Role
from unisem.encoders.base import Progress
from unisem.images.reference import ImageSource, open_image
from unisem.records import Vector

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 160, 60),
    "blue": (40, 60, 220),
    "yellow": (240, 220, 40),
    "black": (10, 10, 10),
    "white": (250, 250, 250),
}


class ToyEncoder(Encoder):
    """See the module."""

    def __init__(self, dimension: int = 48, seed: int = 0) -> None:
        self._dimension = dimension
        self._seed = seed
        self.texts_encoded = 0
        self.images_encoded = 0

    @property
    def name(self) -> str:
        return f"toy-{self._seed}"

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self.name} {self._dimension}".encode()).hexdigest()

    @property
    def dimension(self) -> int:
        return self._dimension

    def encode_texts(
        self,
        texts: Sequence[str],
        role: Role = "document",
        *,
        batch_size: int = 32,
        progress: Progress | None = None,
    ) -> Vector:
        assert not isinstance(texts, str)
        self.texts_encoded += len(texts)
        rows = [sum(map(self._word, re.findall(r"\w+", text.lower()) or [""])) for text in texts]
        return _unit(np.array(rows, np.float32).reshape(-1, self._dimension))

    def encode_images(
        self,
        images: Sequence[ImageSource],
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Vector:
        self.images_encoded += len(images)
        rows = [self._picture(open_image(image)) for image in images]
        return _unit(np.array(rows, np.float32).reshape(-1, self._dimension))

    def _word(self, word: str) -> np.ndarray:
        return _drawn(f"{self._seed} {word}", self._dimension)

    def _picture(self, image: Image.Image) -> np.ndarray:
        mean = np.asarray(image, np.float32).reshape(-1, 3).mean(axis=0)
        nearest = min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))
        return self._word(nearest) + 0.05 * self._word(hashlib.sha256(image.tobytes()).hexdigest())


@functools.lru_cache(10_000)  # the tests ask for the same few words a hundred thousand times
def _drawn(name: str, dimension: int) -> np.ndarray:
    digest = hashlib.sha256(name.encode()).digest()
    drawn = np.random.default_rng(list(digest)).standard_normal(dimension)
    drawn.flags.writeable = False
    return drawn


def _unit(rows: np.ndarray) -> Vector:
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(
        np.float32
    )


class FusingToyEncoder(ToyEncoder):
    """One that also reads a text and a picture together: their mean, aside from both.

    A query's is a little elsewhere than a document's.
    """

    def __init__(self, dimension: int = 48, seed: int = 0) -> None:
        super().__init__(dimension, seed)
        self.pairs_encoded = 0

    @property
    def fuses(self) -> bool:
        return True

    def encode_pairs(
        self,
        texts: Sequence[str],
        images: Sequence[ImageSource],
        role: Role = "document",
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Vector:
        self.pairs_encoded += len(texts)
        before = self.texts_encoded, self.images_encoded
        rows = self.encode_texts(texts, role) + self.encode_images(images)
        self.texts_encoded, self.images_encoded = before
        aside = self._word("together") + 0.1 * self._word(f"as a {role}")
        return _unit(rows + 0.3 * aside.astype(np.float32))
