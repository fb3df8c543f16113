"""`Column`: where a batch's features come from, live or stored."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.utils.rnn import pad_sequence

from unisem.common.threads import decoding_threads
from unisem.encoders.base import Role
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.images.reference import ImageRef, open_image
from unisem.records import Modality, Vector
from unisem.training.inputs.augmentation import Augmentation

_CHUNK = 16  # pictures that a thread takes at a time, at most
_MIN_SIDE = 512  # pixels that a picture keeps for random crops; JPEGs are decoded at less scale

Seed = tuple[int, ...]


class Column(ABC):
    """Inputs of one modality, turned into features by position."""

    @abstractmethod
    def __len__(self) -> int:
        """How many inputs there are."""

    @abstractmethod
    def features(self, positions: Sequence[int], seed: Seed | None = None) -> dict[str, Any]:
        """The model's input features of some inputs.

        Args:
            positions: Which inputs, in order.
            seed: Decides random changes, together with each position; ``None`` changes nothing.
        """


class TextColumn(Column):
    """Texts.

    Args:
        encoder: Whose model tokenizes them.
        texts: The texts.
        role: What they are embedded as; captions are queries.
    """

    def __init__(
        self, encoder: SentenceTransformerEncoder, texts: Sequence[str], role: Role = "query"
    ) -> None:
        self._encoder = encoder
        self._texts = list(texts)
        self._role: Role = role

    def __len__(self) -> int:
        return len(self._texts)

    def features(self, positions: Sequence[int], seed: Seed | None = None) -> dict[str, Any]:
        """Tokenize; see `Column.features`."""
        return self._encoder.preprocess_texts([self._texts[p] for p in positions], self._role)


class ImageColumn(Column):
    """Pictures, opened anew each time.

    Args:
        encoder: Which prepares and preprocesses them.
        images: Where they are.
        augmentation: Random changes; none if ``None``.
    """

    def __init__(
        self,
        encoder: SentenceTransformerEncoder,
        images: Sequence[ImageRef],
        augmentation: Augmentation | None = None,
    ) -> None:
        self._encoder = encoder
        self._images = list(images)
        self._augmentation = augmentation
        self._in_parts = True  # until this model's features turn out not to join

    def __len__(self) -> int:
        return len(self._images)

    def features(self, positions: Sequence[int], seed: Seed | None = None) -> dict[str, Any]:
        """Decode, change, preprocess, a few pictures per thread; see `Column.features`."""
        threads = decoding_threads()
        size = max(1, min(_CHUNK, math.ceil(len(positions) / threads)))
        chunks = [positions[start : start + size] for start in range(0, len(positions), size)]
        with ThreadPoolExecutor(threads, "unisem-decode") as pool:
            done = list(pool.map(lambda chunk: self._opened(chunk, seed), chunks))
        if self._in_parts and len(done) == 1:
            return done[0][1]
        if self._in_parts:
            features = _joined([part for _, part in done], [len(chunk) for chunk in chunks])
            if features is not None:
                return features
            self._in_parts = False
        return self._encoder.preprocess_images([image for images, _ in done for image in images])

    def opened(self, positions: Sequence[int], seed: Seed | None) -> list[Image.Image]:
        """The pictures alone, decoded by threads and changed."""
        with ThreadPoolExecutor(decoding_threads(), "unisem-decode") as pool:
            return list(pool.map(lambda position: self._open(position, seed), positions))

    def _opened(
        self, positions: Sequence[int], seed: Seed | None
    ) -> tuple[list[Image.Image], dict[str, Any]]:
        images = [self._open(position, seed) for position in positions]
        return images, self._encoder.preprocess_images(images) if self._in_parts else {}

    def _open(self, position: int, seed: Seed | None) -> Image.Image:
        reference = self._images[position]
        if self._augmentation is None or seed is None:
            return self._encoder.prepare_image(reference)
        opened = open_image(reference, min_side=_MIN_SIDE)
        changed = self._augmentation.apply(opened, np.random.default_rng([*seed, position]))
        return self._encoder.prepare_image(changed)


class FusedColumn(Column):
    """Texts, each together with a picture, for an encoder that reads both at once.

    Args:
        encoder: Which prepares and preprocesses them.
        texts: The texts.
        images: Where their pictures are.
        role: What they are embedded as.
        augmentation: Random changes to pictures; none if ``None``.
    """

    def __init__(
        self,
        encoder: SentenceTransformerEncoder,
        texts: Sequence[str],
        images: Sequence[ImageRef],
        role: Role,
        augmentation: Augmentation | None = None,
    ) -> None:
        self._encoder = encoder
        self._texts = list(texts)
        self._pictures = ImageColumn(encoder, images, augmentation)
        self._role: Role = role

    def __len__(self) -> int:
        return len(self._texts)

    def features(self, positions: Sequence[int], seed: Seed | None = None) -> dict[str, Any]:
        """Decode, change, preprocess; see `Column.features`."""
        images = self._pictures.opened(positions, seed)
        texts = [self._texts[position] for position in positions]
        return self._encoder.preprocess_pairs(texts, images, self._role)


class StoredColumn(Column):
    """Outputs of frozen modules, computed before.

    Args:
        vectors: ``(n, d)`` float32.
        modality: Which side they enter.
    """

    def __init__(self, vectors: Vector, modality: Modality) -> None:
        self._vectors = torch.from_numpy(vectors)
        self._modality = modality

    def __len__(self) -> int:
        return len(self._vectors)

    def features(self, positions: Sequence[int], seed: Seed | None = None) -> dict[str, Any]:
        """Look up; see `Column.features`."""
        return {
            "sentence_embedding": self._vectors[torch.as_tensor(list(positions))],
            "modality": self._modality,
        }


class StoredTokens(Column):
    """Outputs of frozen modules for every token, computed before.

    Args:
        vectors: ``(t, w)`` floats of each input.
        modality: Which side they enter.
    """

    def __init__(self, vectors: Sequence[NDArray[np.floating[Any]]], modality: Modality) -> None:
        self._vectors = vectors
        self._modality = modality

    def __len__(self) -> int:
        return len(self._vectors)

    def features(self, positions: Sequence[int], seed: Seed | None = None) -> dict[str, Any]:
        """Look up and pad; see `Column.features`."""
        found = [torch.from_numpy(self._vectors[position]).float() for position in positions]
        return {
            # Under the name that the trainer knows an input by.
            "sentence_embedding": pad_sequence(found, batch_first=True),
            "attention_mask": pad_sequence(
                [torch.ones(len(tokens), dtype=torch.int64) for tokens in found], batch_first=True
            ),
            "modality": self._modality,
        }


def _joined(parts: list[dict[str, Any]], counts: list[int]) -> dict[str, Any] | None:
    """Features of parts of a batch as those of the batch, where that is certain.

    It is where a picture is one ``(c, h, w)`` array of pixels, the same size in all parts, and
    nothing else was measured: then no picture's pixels depend on its neighbours. Models that cut
    pictures to patches or pad them to the largest of the batch give more tensors, or other shapes.
    """
    pixels: list[torch.Tensor] = []
    others: list[dict[str, Any]] = []
    for part, count in zip(parts, counts, strict=True):
        rest = dict(part)
        found = rest.pop("pixel_values", None)
        if not isinstance(found, torch.Tensor) or found.dim() != 4 or len(found) != count:
            return None
        if any(isinstance(value, torch.Tensor) for value in rest.values()):
            return None
        pixels.append(found)
        others.append(rest)
    same = all(found.shape[1:] == pixels[0].shape[1:] for found in pixels)
    if not same or any(rest != others[0] for rest in others):
        return None
    return others[0] | {"pixel_values": torch.cat(pixels)}
