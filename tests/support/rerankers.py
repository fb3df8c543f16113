"""Rerankers without a model, whose scores a test can foretell."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.support.toy import COLOURS
from unisem import ImageRef, Record
from unisem.errors import ImageError, RerankerError
from unisem.images.reference import open_image
from unisem.rerank import Reranker


class ColourReranker(Reranker):
    """One point for each word that query and text share, ten for the same colour in the picture.

    It remembers what it was asked, and on which thread.
    """

    name = "colours"

    def __init__(self, *, sees_images: bool = True) -> None:
        self.sees_images = sees_images
        self.asked: list[tuple[str | None, ImageRef | None, list[Record]]] = []
        self.threads: list[int] = []

    def __repr__(self) -> str:
        return self.name  # the same in each process that names a test by it

    def score(
        self, text: str | None, image: ImageRef | None, records: Sequence[Record]
    ) -> NDArray[np.float32]:
        self.asked.append((text, image, list(records)))
        self.threads.append(threading.get_ident())
        if image is not None and not self.sees_images:
            raise RerankerError("colours reads texts only")
        words = set(re.findall(r"\w+", (text or "").lower()))
        if image is not None:
            words.add(_colour(image))
        return np.array([self._score(words, record) for record in records], np.float32)

    def _score(self, words: set[str], record: Record) -> float:
        shared = float(len(words & set(re.findall(r"\w+", (record.text or "").lower()))))
        if record.image is not None and self.sees_images:
            try:
                return shared + 10 * (_colour(record.image) in words)
            except ImageError:
                pass
        return shared if record.text else float("nan")


def _colour(image: ImageRef) -> str:
    mean = np.asarray(open_image(image), np.float32).reshape(-1, 3).mean(axis=0)
    return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))
