"""`PreparedPairs`, and `PairCollator`: numbers of pairs to a batch, as the trainer wants it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from unisem.pairs.dataset import Ids
from unisem.training.inputs.columns import Column


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPairs:
    """Pairs ready to be trained on, or to be evaluated.

    Attributes:
        texts: A caption per pair.
        images: Distinct pictures.
        image_of: ``(n,)`` the position of each pair's picture in ``images``.
        image_ids: ``(n,)`` picture ids; equal ids are no negatives of each other.
        caption_ids: ``(n,)`` caption ids, likewise.
    """

    texts: Column
    images: Column
    image_of: Ids
    image_ids: Ids
    caption_ids: Ids


class PairCollator:
    """Makes a batch of captions, their pictures, hard negatives, and labels.

    Args:
        pairs: What batches are made of.
        negatives: ``(n, h)`` pairs whose pictures are added to the batch as hard negatives.
        seed: Decides the random changes of pictures.

    Attributes:
        epoch: Set by the trainer, so that every epoch sees pictures changed otherwise.
    """

    # What the trainer asks of a collator beside calling it.
    valid_label_columns = ("label",)

    def __init__(
        self,
        pairs: PreparedPairs,
        negatives: Ids | None = None,
        seed: int = 0,
    ) -> None:
        self._pairs = pairs
        self._labels = torch.from_numpy(np.stack([pairs.image_ids, pairs.caption_ids], axis=1))
        self._negatives = negatives
        self._seed = seed
        self.epoch = 0

    def __call__(self, rows: Sequence[dict[str, int]]) -> dict[str, Any]:
        """Make a batch of the epoch that is set; see `make`."""
        return self.make(rows, self.epoch)

    def make(self, rows: Sequence[dict[str, int]], epoch: int) -> dict[str, Any]:
        """Make a batch.

        Args:
            rows: ``{"pair": number}`` for each of n pairs.
            epoch: Decides the random changes of pictures, together with the seed.

        Returns:
            Features of n captions (``caption_…``), of ``n * (1 + h)`` pictures (``picture_…``, hard
            negatives last), and ``label``: ``(n * (1 + h), 2)`` int64.
        """
        pairs = [row["pair"] for row in rows]
        shown = list(pairs)
        if self._negatives is not None:
            shown += self._negatives[pairs].flatten().tolist()
        texts = self._pairs.texts.features(pairs)
        images = self._pairs.images.features(
            self._pairs.image_of[shown].tolist(), (self._seed, epoch)
        )
        return (
            {f"caption_{key}": value for key, value in texts.items()}
            | {f"picture_{key}": value for key, value in images.items()}
            | {"label": self._labels[shown]}
        )
