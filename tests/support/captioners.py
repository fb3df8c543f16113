"""Captioners without a model, which say what a test wants and count what they are asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from tests.support.toy import COLOURS
from unisem.captioners import BatchCaptioner


def colour_of(picture: Image.Image) -> str:
    """The name of the colour nearest to a picture's mean."""
    mean = np.asarray(picture, np.float32).reshape(-1, 3).mean(axis=0)
    return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))


class ColourCaptioner(BatchCaptioner):
    """Says ``a red card`` of a red picture, or whatever it is told to say.

    Attributes:
        asked: How many pictures it has been asked about.
    """

    def __init__(
        self,
        say: Callable[[Image.Image], str] = lambda picture: f"a {colour_of(picture)} card",
        *,
        name: str = "colours",
        batch_size: int = 2,
    ) -> None:
        self._say = say
        self._name = name
        self.batch_size = batch_size
        self.asked = 0

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self._name.encode()).hexdigest()

    def write(self, pictures: Sequence[Image.Image]) -> list[str]:
        assert len(pictures) <= self.batch_size
        self.asked += len(pictures)
        return [self._say(picture) for picture in pictures]
