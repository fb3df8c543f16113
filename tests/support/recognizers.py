"""A recogniser that knows what stands in pictures by their colour."""

from __future__ import annotations

import numpy as np

from unisem.errors import RecognizerError
from unisem.images.reference import ImageSource, open_image
from unisem.recognition import TextLine, TextRecognizer

Colour = tuple[int, int, int]


class ColourRecognizer(TextRecognizer):
    """Reads, in a picture of one colour, the words that it was given for that colour.

    Args:
        words: Lines by colour; none in pictures of other colours.
        fingerprint: As of `TextRecognizer`.
        fails_on: Colours on which it fails.
    """

    name = "by colour"

    def __init__(
        self,
        words: dict[Colour, list[str]],
        fingerprint: str = "one",
        fails_on: tuple[Colour, ...] = (),
    ) -> None:
        self.words = words
        self._fingerprint = fingerprint
        self._fails_on = fails_on
        self.read_count = 0

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def read(self, image: ImageSource) -> list[TextLine]:
        picture = open_image(image)
        self.read_count += 1
        middle = np.median(np.asarray(picture).reshape(-1, 3), axis=0)
        colour = (int(middle[0]), int(middle[1]), int(middle[2]))
        if colour in self._fails_on:
            raise RecognizerError("no colour of mine")
        return [
            TextLine(text, (10.0, 10.0 + 20 * row, 90.0, 24.0 + 20 * row), 0.9)
            for row, text in enumerate(self.words.get(colour, []))
        ]
