"""`EmbeddingsEncoder`: any LangChain `Embeddings` as an encoder of UniSem."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings

from langchain_unisem.vectorstores.identity import fingerprint_of, name_of
from unisem.encoders.base import Encoder, Progress, Role
from unisem.errors import EncoderError
from unisem.images.reference import ImageSource, open_image
from unisem.records import Vector


class EmbeddingsEncoder(Encoder):
    """Text embeddings as an encoder; pictures too, if they have ``embed_image(uris)``.

    Vectors are scaled to length 1. A picture is decoded here, with UniSem's limits, and handed
    over as a temporary PNG file, since a path is what ``embed_image`` takes.

    Setup:
        ``pip install "unisem[langchain]"``

    Instantiate:
        ```python
        from langchain_unisem import EmbeddingsEncoder
        from unisem import SemanticSpace

        space = SemanticSpace.open("notes.unisem", encoder=EmbeddingsEncoder(embeddings))
        ```

    Args:
        embeddings: Called from several threads.
        fingerprint: As `Encoder.fingerprint`; derived from class and settings if ``None``.
    """

    def __init__(self, embeddings: Embeddings, fingerprint: str | None = None) -> None:
        if not isinstance(embeddings, Embeddings):
            raise TypeError(
                f"embedding must be a langchain_core Embeddings, not {type(embeddings).__name__}"
            )
        self._embeddings = embeddings
        self._name = name_of(embeddings)
        self._fingerprint = fingerprint_of(embeddings) if fingerprint is None else fingerprint
        self._dimension: int | None = None

    @property
    def embeddings(self) -> Embeddings:
        """What was given."""
        return self._embeddings

    @property
    def name(self) -> str:
        """The class, and its model if it says so."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """As given, or derived when this was made."""
        return self._fingerprint

    @property
    def dimension(self) -> int:
        """Length of every vector; a word is embedded to learn it if nothing has been yet."""
        if self._dimension is None:
            self.encode_texts(["dimension"], role="query")
        assert self._dimension is not None
        return self._dimension

    def encode_texts(
        self,
        texts: Sequence[str],
        role: Role = "document",
        *,
        batch_size: int = 32,
        progress: Progress | None = None,
    ) -> Vector:
        """Embed texts by ``embed_query`` or, all at once, by ``embed_documents``.

        Raises:
            EncoderError: What came back is no matrix of numbers, or has a zero vector.
        """
        del batch_size  # how many go at once is the embeddings' own setting
        if role == "query":
            rows = [self._embeddings.embed_query(text) for text in texts]
        else:
            rows = self._embeddings.embed_documents(list(texts)) if texts else []
        if progress is not None:
            progress(len(texts))
        return self._unit_rows(rows, len(texts), "text")

    def encode_images(
        self,
        images: Sequence[ImageSource],
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Vector:
        """Embed pictures by ``embed_image``.

        Raises:
            EncoderError: There is no such method, or as `encode_texts`.
            ImageError: Names the first picture that cannot be used.
        """
        del batch_size
        embed_image = getattr(self._embeddings, "embed_image", None)
        if not callable(embed_image):
            raise EncoderError(
                f"{self._name} embeds no pictures: it has no method embed_image; use a "
                "multimodal one, such as langchain_unisem.UniSemEmbeddings, or a SemanticSpace"
            )
        if not images:
            return self._unit_rows([], 0, "picture")
        with tempfile.TemporaryDirectory(prefix="unisem-") as folder:
            paths = [str(Path(folder, f"{number}.png")) for number in range(len(images))]
            for path, image in zip(paths, images, strict=True):
                open_image(image).save(path, compress_level=1)
            rows = embed_image(paths)
        if progress is not None:
            progress(len(images))
        return self._unit_rows(rows, len(images), "picture")

    def _unit_rows(self, rows: Any, count: int, kind: str) -> Vector:
        if not count:
            return np.empty((0, self._dimension or 0), np.float32)
        try:
            matrix = np.array(rows, np.float64)
        except (TypeError, ValueError):
            lengths = sorted({len(row) for row in rows if isinstance(row, Sequence)})
            raise EncoderError(
                f"{self._name} returned no matrix of numbers for {count} {kind}s; "
                f"its vectors' lengths are {lengths}"
            ) from None
        if matrix.ndim != 2 or len(matrix) != count or not matrix.shape[1]:
            raise EncoderError(
                f"{self._name} returned an array of shape {matrix.shape} for {count} {kind}s; "
                "one vector for each is needed"
            )
        if self._dimension not in (None, matrix.shape[1]):
            raise EncoderError(
                f"{self._name} returned {kind} vectors of dimension {matrix.shape[1]}, "
                f"and others of dimension {self._dimension}"
            )
        norms = np.linalg.norm(matrix, axis=1)
        if len(bad := np.flatnonzero(~np.isfinite(norms) | (norms == 0))):
            raise EncoderError(
                f"{self._name} returned a vector that is zero or not finite for {kind} "
                f"{int(bad[0])} of {count}; it points nowhere and cannot be compared"
            )
        self._dimension = matrix.shape[1]
        unit: Vector = (matrix / norms[:, None]).astype(np.float32)
        return unit
