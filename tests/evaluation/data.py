"""Data and encoders for tests of the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.support.pictures import solid
from tests.support.toy import COLOURS, ToyEncoder
from unisem.images.reference import ImageRef, ImageSource
from unisem.pairs import Pair, PairDataset
from unisem.records import Vector


class Blurred(ToyEncoder):
    """The toy encoder with noise on its pictures: a worse model of the same kind."""

    def __init__(self, noise: float = 1.0) -> None:
        super().__init__()
        self._noise = noise

    @property
    def name(self) -> str:
        return "blurred"

    @property
    def fingerprint(self) -> str:
        return "b" * 64

    def encode_images(self, images: Sequence[ImageSource], **options: object) -> Vector:
        clear = super().encode_images(images)
        seeds = [int(np.abs(row).sum() * 1e6) for row in clear]
        noise = [np.random.default_rng(seed).standard_normal(clear.shape[1]) for seed in seeds]
        rows = clear + self._noise * np.array(noise) / np.sqrt(clear.shape[1])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def shades(folder: Path, each: int = 4, captions: int = 1) -> PairDataset:
    """Pictures of every colour in several sizes, each with captions of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = []
    for colour in COLOURS:
        for number in range(each):
            path = folder / f"{colour}-{number}.png"
            solid(colour, (20 + number, 20)).save(path)
            for version in range(captions):
                words = f"a {colour} card number{number} {colour} version{version}"
                pairs.append(Pair.of(ImageRef(path=path, root=folder), words, path.name))
    return PairDataset(tuple(pairs))
