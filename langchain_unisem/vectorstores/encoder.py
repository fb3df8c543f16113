"""`EmbeddingsEncoder`: any LangChain `Embeddings` as an encoder of UniSem."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from pydantic import BaseModel

from unisem.encoders.base import Encoder, Progress, Role
from unisem.errors import EncoderError
from unisem.images.reference import ImageSource, open_image
from unisem.records import Vector

_SECRETS = {"api", "auth", "cookie", "credential", "credentials", "header", "headers", "key"}
_SECRETS |= {"password", "secret", "token"}
_PLACES = {"device", "endpoint", "host", "organization", "port", "proxy", "region", "uri", "url"}
_SPEED = {"batch", "cache", "chunk", "gpu", "parallel", "process", "processes", "thread", "workers"}
_SPEED |= {"progress", "retries", "retry", "timeout", "verbose"}
_IGNORED = _SECRETS | _PLACES | _SPEED  # words in the names of settings
_MODEL_NAMES = ("model", "model_name", "model_id", "repo_id", "deployment")
_DEPTH = 4


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


def name_of(embeddings: Embeddings) -> str:
    """What a person calls these embeddings, for example ``OpenAIEmbeddings(gpt-small)``."""
    settings = dict(_settings(embeddings))
    models = (settings.get(name) for name in _MODEL_NAMES)
    model = next((value for value in models if isinstance(value, str) and value), None)
    return type(embeddings).__name__ + ("" if model is None else f"({model})")


def fingerprint_of(embeddings: Embeddings) -> str:
    """Digest of the class and of those public settings that may change its vectors.

    Left out are secrets, places, and what only changes how fast it goes: settings whose names
    say so, and those that are no JSON. A setting that is taken in needlessly leads to an error
    that names its remedy; one that is left out needlessly would mix two models' vectors.
    """
    parts = {"class": _class_name(embeddings), "settings": _plain(embeddings, _DEPTH)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _class_name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _settings(value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        parts: Mapping[Any, Any] = value
    elif isinstance(value, BaseModel):
        parts = {name: getattr(value, name) for name in type(value).model_fields}
    else:
        parts = getattr(value, "__dict__", {})
    for name, part in parts.items():
        if isinstance(name, str) and name[:1] != "_" and not _IGNORED & set(_words(name)):
            yield name, part


def _words(name: str) -> list[str]:
    return name.lower().replace("-", "_").split("_")


def _plain(value: object, depth: int) -> Any:
    """The value as JSON; ``None`` for what is none or lies too deep."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case _ if not depth:
            return None
        case list() | tuple():
            return [_plain(item, depth - 1) for item in value]
        case Mapping():
            return {name: _plain(part, depth - 1) for name, part in _settings(value)}
        case Embeddings():  # one model wrapped in another
            parts = {name: _plain(part, depth - 1) for name, part in _settings(value)}
            return {"class": _class_name(value), **parts}
    return None
