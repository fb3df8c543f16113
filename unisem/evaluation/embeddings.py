"""`Embeddings`: the vectors that one encoder gives a set of texts and pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from unisem.common.skipped import Skipped
from unisem.encoders.base import Encoder, Role, rows_of
from unisem.errors import ImageError
from unisem.evaluation.vector_cache import VectorCache
from unisem.records import Record, Vector
from unisem.search.composition import composed

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

_CHUNK = 128  # inputs: what an interruption costs, and what one bad picture makes slow


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Unit vectors by what they are of.

    Attributes:
        queries: ``(d,)`` float32 by text, embedded as queries.
        texts: ``(d,)`` float32 by text, embedded as documents.
        images: ``(d,)`` float32 by the record's id.
        skipped: Pictures that could not be embedded, by the record's id.
        seconds: Spent, what came from the cache included.
    """

    queries: Mapping[str, Vector] = field(repr=False)
    texts: Mapping[str, Vector] = field(repr=False)
    images: Mapping[str, Vector] = field(repr=False)
    skipped: Mapping[str, Skipped]
    seconds: float

    @classmethod
    def of(
        cls,
        encoder: Encoder,
        texts: Sequence[Record],
        images: Sequence[Record],
        *,
        asked: Sequence[Record] | None = None,
        cache: VectorCache | None = None,
        progress: Progress | None = None,
    ) -> Embeddings:
        """Embed texts in both roles, and pictures; a picture that does not open is skipped.

        Args:
            encoder: Embeds them.
            texts: Records with a text.
            images: Records with a picture whose digest is known.
            asked: Records whose texts are embedded as queries; those of ``texts`` if ``None``.
            cache: Where vectors are kept and taken from.
            progress: Called after each chunk.

        Raises:
            EncoderError: The model has no image side, or gives vectors of no length.
        """
        began = time.perf_counter()
        words = [record.text or "" for record in texts]
        questions = words if asked is None else [record.text or "" for record in asked]
        run = _Run(encoder, cache, progress, len(words) + len(questions) + len(images))
        queries = run.texts(questions, "query")
        documents = run.texts(words, "document")
        pixels, skipped = run.images(images)
        return cls(
            dict(zip(questions, queries, strict=True)),
            dict(zip(words, documents, strict=True)),
            pixels,
            skipped,
            time.perf_counter() - began,
        )

    def of_queries(self, records: Sequence[Record]) -> Vector:
        """``(n, d)`` unit vectors of what is asked; a text and a picture are averaged."""
        rows = []
        for record in records:
            parts = [self.images[record.id]] if record.image is not None else []
            parts += [self.queries[record.text]] if record.text is not None else []
            rows.append(parts[0] if len(parts) == 1 else composed(parts[1], parts[0], 0.5))
        return np.stack(rows)

    def of_candidates(self, records: Sequence[Record]) -> tuple[Vector, NDArray[np.int64]]:
        """Vectors of what can be found: ``(v, d)``, and ``(n,)`` where each record's begin."""
        rows: list[Vector] = []
        starts = []
        for record in records:
            starts.append(len(rows))
            if record.text is not None:
                rows.append(self.texts[record.text])
            if record.image is not None:
                rows.append(self.images[record.id])
        return np.stack(rows), np.array(starts, np.int64)


class _Run:
    """One encoder at work, chunk by chunk."""

    def __init__(
        self, encoder: Encoder, cache: VectorCache | None, progress: Progress | None, total: int
    ) -> None:
        self._encoder = encoder
        self._cache = cache
        self._progress = progress
        self._done = 0
        self._total = total

    def texts(self, texts: Sequence[str], role: Role) -> list[Vector]:
        rows: list[Vector] = []
        for start in range(0, len(texts), _CHUNK):
            chunk = texts[start : start + _CHUNK]
            encode = partial(self._encoder.encode_texts, chunk, role)
            rows.extend(self._vectors(f"text {role}", chunk, encode))
        return rows

    def images(self, records: Sequence[Record]) -> tuple[dict[str, Vector], dict[str, Skipped]]:
        vectors: dict[str, Vector] = {}
        skipped: dict[str, Skipped] = {}
        for start in range(0, len(records), _CHUNK):
            chunk = records[start : start + _CHUNK]
            try:
                rows = self._pictures(chunk)
            except ImageError:
                self._one_by_one(chunk, vectors, skipped)
            else:
                vectors.update(zip((record.id for record in chunk), rows, strict=True))
        return vectors, skipped

    def _pictures(self, records: Sequence[Record]) -> Vector:
        references = [record.image for record in records if record.image is not None]
        digests = [reference.sha256 or reference.name for reference in references]
        return self._vectors("image", digests, partial(self._encoder.encode_images, references))

    def _one_by_one(
        self, records: Sequence[Record], vectors: dict[str, Vector], skipped: dict[str, Skipped]
    ) -> None:
        for record in records:
            try:
                vectors[record.id] = self._pictures([record])[0]
            except ImageError as error:
                skipped[record.id] = Skipped(error.name, error.reason)
                self._advance(1)

    def _vectors(self, kind: str, inputs: Sequence[str], encode: Callable[[], Vector]) -> Vector:
        if self._cache is None:
            vectors = encode()
        else:
            vectors = self._cache.vectors(self._encoder.fingerprint, kind, inputs, encode)
        unit = rows_of(self._encoder, vectors)
        self._advance(len(inputs))
        return unit

    def _advance(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(f"encoding with {self._encoder.name}", self._done, self._total)
