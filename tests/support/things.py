"""`ThingEncoder`: an encoder with a modality gap, whose right answers are known."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from tests.calibration.synthetic import DIMENSION, Corpus
from unisem import Record
from unisem.encoders import Encoder, Role
from unisem.encoders.base import Progress
from unisem.images.reference import ImageSource, open_image
from unisem.records import Vector

CORPUS = Corpus.of(300, 0.6, 1)


class ThingEncoder(Encoder):
    """The text ``thing 7`` and the picture of thing 7 lie in `CORPUS`, a gap apart."""

    @property
    def name(self) -> str:
        return "things"

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(b"things").hexdigest()

    @property
    def dimension(self) -> int:
        return DIMENSION

    def encode_texts(
        self,
        texts: Sequence[str],
        role: Role = "document",
        *,
        batch_size: int = 32,
        progress: Progress | None = None,
    ) -> Vector:
        rows = CORPUS.questions if role == "query" else CORPUS.texts
        found: Vector = rows[[int(text.split()[1]) for text in texts]]
        return found

    def encode_images(
        self,
        images: Sequence[ImageSource],
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Vector:
        pixels = [np.asarray(open_image(image))[0, 0] for image in images]
        found: Vector = CORPUS.images[[int(red) * 256 + int(green) for red, green, _ in pixels]]
        return found


def picture(number: int) -> Image.Image:
    """The picture of a thing."""
    return Image.new("RGB", (4, 4), (number // 256, number % 256, 9))


def captioned(numbers: Sequence[int]) -> list[Record]:
    """Captioned pictures of things."""
    return [
        Record(id=f"c{number}", text=f"thing {number}", image=picture(number)) for number in numbers
    ]


def apart(numbers: Sequence[int]) -> list[Record]:
    """Things, even ones as texts, odd ones as pictures."""
    return [
        Record(id=f"p{number}", image=picture(number))
        if number % 2
        else Record(id=f"t{number}", text=f"thing {number}")
        for number in numbers
    ]
