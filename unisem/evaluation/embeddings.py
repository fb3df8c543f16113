"""`Embeddings`: the vectors that one encoder gives a set of texts and pictures."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from unisem.calibration.kinds import DOCUMENT_KINDS, DocumentKind
from unisem.common.skipped import Skipped
from unisem.encoders.base import Encoder, Role, rows_of
from unisem.errors import ImageError
from unisem.evaluation.tasks import form_of
from unisem.evaluation.vector_cache import VectorCache
from unisem.records import Record, Vector
from unisem.search.composition import composed

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

_Seen = tuple[dict[str, Vector], dict[str, Skipped]]
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
        fused: ``(d,)`` float32 of a text and a picture together, embedded as a document, by the
            record's id; none where the encoder does not fuse.
        asked: The same embedded as a query.
    """

    queries: Mapping[str, Vector] = field(repr=False)
    texts: Mapping[str, Vector] = field(repr=False)
    images: Mapping[str, Vector] = field(repr=False)
    skipped: Mapping[str, Skipped]
    seconds: float
    fused: Mapping[str, Vector] = field(default_factory=dict, repr=False)
    asked: Mapping[str, Vector] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        encoder: Encoder,
        texts: Sequence[Record],
        images: Sequence[Record],
        *,
        asked: Sequence[Record] | None = None,
        candidates: Sequence[Record] = (),
        queries: Sequence[Record] = (),
        cache: VectorCache | None = None,
        progress: Progress | None = None,
    ) -> Embeddings:
        """Embed texts in both roles, and pictures; a picture that does not open is skipped.

        Args:
            encoder: Embeds them.
            texts: Records with a text.
            images: Records with a picture whose digest is known.
            asked: Records whose texts are embedded as queries; those of ``texts`` if ``None``.
            candidates: What can be found: a text and a picture of one of these have a fused
                vector beside their own, if the encoder fuses, as in a space.
            queries: What is asked: of one with both the fused vector is the query, likewise.
            cache: Where vectors are kept and taken from.
            progress: Called after each chunk.

        Raises:
            EncoderError: The model has no image side, or gives vectors of no length.
        """
        began = time.perf_counter()
        words = [record.text or "" for record in texts]
        questions = words if asked is None else [record.text or "" for record in asked]
        both, joined = (
            [one for one in some if encoder.fuses and form_of(one) == "captioned image"]
            for some in (queries, candidates)
        )
        total = len(words) + len(questions) + len(images) + len(both) + len(joined)
        run = _Run(encoder, cache, progress, total)
        by_text = dict(zip(questions, run.texts(questions, "query"), strict=True))
        documents = dict(zip(words, run.texts(words, "document"), strict=True))
        pixels, skipped = run.images(images)
        fused, not_fused = run.pairs(joined, "document")
        asked_fused, not_asked = run.pairs(both, "query")
        return cls(
            by_text,
            documents,
            pixels,
            skipped | not_fused | not_asked,
            time.perf_counter() - began,
            fused,
            asked_fused,
        )

    @property
    def apart(self) -> Embeddings:
        """The same without fused vectors: texts and pictures each by themselves."""
        return replace(self, fused={}, asked={})

    def of_queries(self, records: Sequence[Record]) -> Vector:
        """``(n, d)`` unit vectors of what is asked.

        A text and a picture are fused, or where there is no such vector averaged.
        """
        rows = []
        for record in records:
            if record.id in self.asked:
                rows.append(self.asked[record.id])
                continue
            parts = [self.images[record.id]] if record.image is not None else []
            parts += [self.queries[record.text]] if record.text is not None else []
            rows.append(parts[0] if len(parts) == 1 else composed(parts[1], parts[0], 0.5))
        return np.stack(rows)

    def of_candidates(
        self, records: Sequence[Record]
    ) -> tuple[Vector, NDArray[np.int64], NDArray[np.int64]]:
        """Vectors of what can be found.

        Returns:
            ``(v, d)``; ``(n,)`` where each record's begin; ``(v,)`` of what each vector is, a
            number of `DOCUMENT_KINDS`.
        """
        rows: list[Vector] = []
        starts, kinds = [], []
        for record in records:
            starts.append(len(rows))
            parts: dict[DocumentKind, Vector] = {}
            if record.text is not None:
                parts["text"] = self.texts[record.text]
            if record.image is not None:
                parts["image"] = self.images[record.id]
            if len(parts) == 2 and record.id in self.fused:
                parts["both"] = self.fused[record.id]
            rows += parts.values()
            kinds += [DOCUMENT_KINDS.index(kind) for kind in parts]
        return np.stack(rows), np.array(starts, np.int64), np.array(kinds, np.int64)


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

    def images(self, records: Sequence[Record]) -> _Seen:
        return self._seen(records, self._pictures)

    def pairs(self, records: Sequence[Record], role: Role) -> _Seen:
        return self._seen(records, partial(self._pairs, role=role))

    def _seen(
        self, records: Sequence[Record], encode: Callable[[Sequence[Record]], Vector]
    ) -> _Seen:
        """By records' ids, chunk by chunk; of one with a bad picture record by record."""
        vectors: dict[str, Vector] = {}
        skipped: dict[str, Skipped] = {}
        for start in range(0, len(records), _CHUNK):
            chunk = records[start : start + _CHUNK]
            try:
                rows = encode(chunk)
            except ImageError:
                for record in chunk:
                    try:
                        vectors[record.id] = encode([record])[0]
                    except ImageError as error:
                        skipped[record.id] = Skipped(error.name, error.reason)
                        self._advance(1)
            else:
                vectors.update(zip((record.id for record in chunk), rows, strict=True))
        return vectors, skipped

    def _pictures(self, records: Sequence[Record]) -> Vector:
        references = [record.image for record in records if record.image is not None]
        digests = [reference.sha256 or reference.name for reference in references]
        return self._vectors("image", digests, partial(self._encoder.encode_images, references))

    def _pairs(self, records: Sequence[Record], role: Role) -> Vector:
        said = [record.text or "" for record in records]
        references = [record.image for record in records if record.image is not None]
        inputs = [
            f"{reference.sha256 or reference.name} {hashlib.sha256(text.encode()).hexdigest()}"
            for reference, text in zip(references, said, strict=True)
        ]
        encode = partial(self._encoder.encode_pairs, said, references, role)
        return self._vectors(f"pair {role}", inputs, encode)

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
