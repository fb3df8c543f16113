"""A reranker without a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unisem import Record
from unisem.images.reference import ImageRef
from unisem.rerank import Reranker


class LengthReranker(Reranker):
    """The shorter a text the better; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, ImageRef | None, int]] = []

    @property
    def name(self) -> str:
        return "by-length"

    def score(
        self, text: str | None, image: ImageRef | None, records: Sequence[Record]
    ) -> NDArray[np.float32]:
        self.asked.append((text, image, len(records)))
        return np.array([-float(len(record.text or "")) for record in records], np.float32)
