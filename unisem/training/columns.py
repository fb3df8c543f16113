"""`Column`: where a batch's features come from, live or stored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from PIL import Image

from unisem.encoders.hub import HubEncoder
from unisem.images import ImageRef, open_image
from unisem.search import Vector
from unisem.training.augmentation import Augmentation
from unisem.training.sides import Modality

_DECODERS = 4  # threads; Pillow lets go of the interpreter while it decodes
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
    """Captions, embedded as queries.

    Args:
        encoder: Whose model tokenizes them.
        texts: The captions.
    """

    def __init__(self, encoder: HubEncoder, texts: Sequence[str]) -> None:
        self._model = encoder.model
        self._texts = list(texts)
        self._prompt = self._model.prompts.get("query") or None

    def __len__(self) -> int:
        return len(self._texts)

    def features(self, positions: Sequence[int], seed: Seed | None = None) -> dict[str, Any]:
        """Tokenize; see `Column.features`."""
        inputs = [{"text": self._texts[position]} for position in positions]
        features: dict[str, Any] = self._model.preprocess(inputs, prompt=self._prompt, task="query")
        return features


class ImageColumn(Column):
    """Pictures, opened anew each time.

    Args:
        encoder: Which prepares and preprocesses them.
        images: Where they are.
        augmentation: Random changes; none if ``None``.
    """

    def __init__(
        self,
        encoder: HubEncoder,
        images: Sequence[ImageRef],
        augmentation: Augmentation | None = None,
    ) -> None:
        self._encoder = encoder
        self._images = list(images)
        self._augmentation = augmentation

    def __len__(self) -> int:
        return len(self._images)

    def features(self, positions: Sequence[int], seed: Seed | None = None) -> dict[str, Any]:
        """Decode, change, preprocess; see `Column.features`."""
        with ThreadPoolExecutor(_DECODERS, "unisem-decode") as pool:
            opened = list(pool.map(lambda position: self._open(position, seed), positions))
        features: dict[str, Any] = self._encoder.model.preprocess(
            [{"image": image} for image in opened], task="document"
        )
        return features

    def _open(self, position: int, seed: Seed | None) -> Image.Image:
        reference = self._images[position]
        if self._augmentation is None or seed is None:
            return self._encoder.prepare_image(reference)
        opened = open_image(reference, min_side=_MIN_SIDE)
        changed = self._augmentation.apply(opened, np.random.default_rng([*seed, position]))
        return self._encoder.prepare_image(changed)


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
