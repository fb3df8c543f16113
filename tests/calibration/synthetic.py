"""A mixed corpus with a modality gap of known size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from unisem.calibration import Calibration, DocumentKind, Sample
from unisem.records import Vector

DIMENSION = 64
TOPICS = 30
SPREAD = 0.7  # of things about their topic
NOISE = 0.6  # of each sight of a thing


@dataclass(frozen=True)
class Corpus:
    """Things, each seen as a text, as a picture and in a question.

    ``gap`` moves texts and pictures apart along one direction, and questions towards the texts.
    """

    questions: Vector
    texts: Vector
    images: Vector

    @classmethod
    def of(cls, things: int, gap: float, seed: int) -> Self:
        rng = np.random.default_rng(seed)
        fixed = np.random.default_rng(99)
        apart = unit(fixed.normal(size=(1, DIMENSION)))
        topics = fixed.normal(size=(TOPICS, DIMENSION))  # crowds have hubs
        own = rng.normal(size=(things, DIMENSION))
        meant = unit(topics[rng.integers(TOPICS, size=things)] + SPREAD * own)

        def seen(offset: float) -> Vector:
            noise = NOISE * rng.normal(size=meant.shape) / np.sqrt(DIMENSION)
            return unit(meant + noise + offset * apart)

        return cls(seen(0.8 * gap), seen(gap), seen(-gap))

    @property
    def sample(self) -> Sample:
        """What a space of captioned pictures has to fit from."""
        numbers = np.arange(len(self.texts))
        return Sample(self.texts, self.texts, self.images, numbers, numbers)

    @property
    def mixed(self) -> tuple[Vector, NDArray[np.bool_]]:
        """Every other thing as a picture, the others as texts."""
        is_image = np.arange(len(self.texts)) % 2 == 1
        return np.where(is_image[:, None], self.images, self.texts), is_image

    def ndcg(self, calibration: Calibration | None, only: DocumentKind | None = None) -> float:
        """Mean nDCG@10 of questions with one right answer, mixed or in a list of one kind."""
        documents, is_image = self.mixed
        if only is not None:
            is_image = np.full(len(is_image), only == "image")
            documents = self.images if only == "image" else self.texts
        if calibration is None:
            scores = (self.questions @ documents.T).astype(np.float64)
        else:
            searched = calibration.documents(documents, is_image)
            scores = np.empty((len(self.questions), len(documents)))
            for row, question in zip(scores, self.questions, strict=True):
                asked = calibration.query(question, "text")
                products = searched @ asked.vector
                for kind in ("text", "image"):
                    here = is_image == (kind == "image")
                    row[here] = asked.scale(kind).comparable(products[here])
        own = np.diag(scores)[:, None]
        ranks = 1 + (scores > own).sum(axis=1)
        return float(np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0).mean())


def unit(rows: NDArray[np.float64]) -> Vector:
    scaled: Vector = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled
