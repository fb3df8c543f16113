"""`Reranker`: what looks at a query and a record together, and says how well they fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unisem.images.reference import ImageRef
from unisem.records import Record


class Reranker(ABC):
    """Scores a handful of records for one query, more carefully than their vectors can.

    Implementations may be called from several threads.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What a person calls this model, for example a hub id."""

    def at(self, directory: Path) -> Reranker:
        """The same reranker for the records of the space in a directory.

        One that keeps something of pictures there, such as tokens, uses that; any other is as it
        is.
        """
        del directory
        return self

    @abstractmethod
    def score(
        self, text: str | None, image: ImageRef | None, records: Sequence[Record]
    ) -> NDArray[np.float32]:
        """Score records for a query of a text, a picture, or both; at least one is given.

        Args:
            text: The query's text, as written.
            image: The query's picture.
            records: What was found for it.

        Returns:
            ``(n,)`` float32, higher is better; NaN for a record that cannot be judged: a picture
            without caption and a model that reads texts only, or a picture that cannot be opened.

        Raises:
            RerankerError: The model cannot judge such a query at all.
            ImageError: The query's picture cannot be used.
        """
