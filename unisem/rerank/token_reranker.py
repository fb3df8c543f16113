"""`TokenReranker`: judges by tokens of pictures and texts, which a space can keep."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unisem.encoders.base import Encoder
from unisem.images.reference import ImageRef, ImageSource
from unisem.records import Record
from unisem.rerank.base import Reranker
from unisem.rerank.token_store import TokenStore


class TokenReranker(Reranker):
    """What is made of a record without the query, and kept; see `TokenStore` and `TokenMaker`."""

    @property
    def keeps_images(self) -> bool:
        """Whether it has tokens of pictures."""
        return True

    @property
    def shared_encoder(self) -> Encoder | None:
        """The encoder whose prepared pictures are its own, too, if there is one."""
        return None

    @abstractmethod
    def load(self) -> None:
        """Load what makes tokens, if it is not loaded.

        Raises:
            RerankerError: It does not load.
        """

    @abstractmethod
    def tokens_in(self, directory: Path) -> TokenStore[Any]:
        """Where its tokens are in a space's directory.

        Raises:
            RerankerError: They are too large to be kept, or the model does not load.
        """

    @abstractmethod
    def prepare_image(self, image: ImageSource) -> Image.Image:
        """Decode one picture for `tokens_of_prepared`; threads may.

        Raises:
            ImageError: The picture cannot be used.
        """

    @abstractmethod
    def tokens_of_prepared(self, images: Sequence[Image.Image]) -> Iterable[NDArray[Any]]:
        """Tokens of pictures that come from `prepare_image`, as `TokenForm.packed` takes them.

        Raises:
            RerankerError: The model does not load, or fails.
        """

    def text_key(self, text: str | None) -> str | None:
        """By what the tokens of a record's text are found; ``None`` if none are kept."""
        del text
        return None

    def tokens_of_texts(self, texts: Sequence[str]) -> Iterable[NDArray[Any]]:
        """As `tokens_of_prepared`, of texts that have a key, which without `text_key` none has."""
        raise NotImplementedError(f"{type(self).__name__} gives texts keys and no tokens")

    def at(self, directory: Path) -> Reranker:
        """The same reranker, which judges by the tokens that a space has; see `score_in`."""
        return _InSpace(self, directory)

    @abstractmethod
    def score_in(
        self,
        directory: Path,
        text: str | None,
        image: ImageRef | None,
        records: Sequence[Record],
    ) -> NDArray[np.float32]:
        """As `score`, by the tokens that a space's directory has; what lacks is made."""


class _InSpace(Reranker):
    """Judges what a space keeps, without opening pictures; makes what lacks."""

    def __init__(self, reranker: TokenReranker, directory: Path) -> None:
        self._reranker = reranker
        self._directory = directory

    @property
    def name(self) -> str:
        return self._reranker.name

    def at(self, directory: Path) -> Reranker:
        return self._reranker.at(directory)

    def score(
        self, text: str | None, image: ImageRef | None, records: Sequence[Record]
    ) -> NDArray[np.float32]:
        return self._reranker.score_in(self._directory, text, image, records)
