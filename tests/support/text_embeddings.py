"""LangChain embeddings that are no model: bags of words, with faults to order."""

from __future__ import annotations

import hashlib
import re

import numpy as np
from langchain_core.embeddings import Embeddings
from PIL import Image

from tests.support.toy import COLOURS


class WordEmbeddings(Embeddings):
    """Sums of one fixed random vector a word; long texts have long vectors."""

    def __init__(self, size: int = 24) -> None:
        self.size = size
        self._texts: list[str] = []

    @property
    def texts(self) -> list[str]:
        """The documents embedded so far."""
        return self._texts

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        assert isinstance(texts, list)
        self._texts += texts
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        words = re.findall(r"\w+", text.lower()) or [""]
        return [float(value) for value in np.sum([self._word(word) for word in words], axis=0)]

    def _word(self, word: str) -> np.ndarray:
        seed = list(hashlib.sha256(word.encode()).digest())
        return np.random.default_rng(seed).standard_normal(self.size)


class PictureEmbeddings(WordEmbeddings):
    """Knows pictures by the duck-typed method: a picture is the name of its colour."""

    def embed_image(self, uris: list[str]) -> list[list[float]]:
        """Only paths, as the incumbents have it."""
        return [self.embed_query(self._colour(uri)) for uri in uris]

    def _colour(self, path: str) -> str:
        assert isinstance(path, str)
        with Image.open(path) as image:
            mean = np.asarray(image.convert("RGB"), float).reshape(-1, 3).mean(axis=0)
        return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))


class FixedEmbeddings(Embeddings):
    """Gives each text the vector that it was told, whatever that is."""

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self.vectors = vectors

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.vectors[text] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.vectors[text]
