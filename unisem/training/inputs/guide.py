"""`Guide`: an encoder that says which negatives of a batch are none (GIST)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from unisem.encoders import Encoder
from unisem.errors import EncoderError, TrainingError
from unisem.pairs.dataset import PairDataset
from unisem.training.inputs.feature_cache import FeatureCache
from unisem.training.inputs.preparing import content_digest
from unisem.training.losses import Guided, PairLoss

_PART = 256  # inputs between two reports of progress


@dataclass(frozen=True, slots=True)
class Guide:
    """The encoder of a `Guided` loss; its vectors are computed once and stored.

    Attributes:
        encoder: Embeds both captions and pictures.
        cache: Where vectors are stored, by content.

    Raises:
        TrainingError: The encoder takes one modality only.
    """

    encoder: Encoder
    cache: Path

    def __post_init__(self) -> None:
        for modality in ("text", "image"):
            try:
                self.encoder.require(modality)
            except EncoderError as error:
                raise TrainingError(
                    f"a guide compares captions with pictures: {error}; name another guide"
                ) from error

    def around(
        self,
        loss: PairLoss,
        dataset: PairDataset,
        advance: Callable[[int, int], None] = lambda done, total: None,
    ) -> PairLoss:
        """A loss without the negatives that the guide finds too alike.

        Args:
            loss: The loss.
            dataset: The checked pairs that it will see.
            advance: Called with inputs embedded and inputs in all.
        """
        encoder = self.encoder
        _, asked = np.unique(dataset.caption_ids, return_index=True)
        _, shown = np.unique(dataset.image_ids, return_index=True)
        captions = [dataset[int(position)].caption for position in asked]
        images = [dataset[int(position)].image for position in shown]
        total = len(captions) + len(images)
        texts = self._store("text").get(
            [hashlib.sha256(caption.encode()).hexdigest() for caption in captions],
            lambda part: encoder.encode_texts([captions[n] for n in part], role="query"),
        )
        advance(len(captions), total)
        pictures = self._store("image").get(
            [content_digest(image) for image in images],
            lambda part: encoder.encode_images([images[n] for n in part]),
            lambda done, missing: advance(len(captions) + done, len(captions) + missing),
        )
        return Guided(loss, torch.from_numpy(texts), torch.from_numpy(pictures))

    def _store(self, modality: str) -> FeatureCache:
        folder = self.cache / f"guide-{self.encoder.fingerprint[:32]}-{modality}"
        return FeatureCache(folder, part=_PART)
