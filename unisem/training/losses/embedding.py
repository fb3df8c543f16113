"""`EmbeddingLoss`: a `PairLoss` in the shape that sentence-transformers' trainer calls.

With several processes the loss is that of their joint batch; see
`unisem.training.losses.exchange`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unisem.training.losses.base import PairLabels, PairLoss
from unisem.training.losses.exchange import joint_loss, several_processes


class EmbeddingLoss(nn.Module):
    """Embed captions and pictures, or other queries and documents, then apply a `PairLoss`.

    Args:
        model: A ``SentenceTransformer``, or a module that takes its features.
        loss: The loss.
    """

    def __init__(self, model: nn.Module, loss: PairLoss) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(
        self, features: Sequence[dict[str, Any]], labels: Tensor
    ) -> Tensor | dict[str, Tensor]:
        """Compute the loss of a batch.

        Args:
            features: The features of ``n`` captions, then those of ``m`` pictures, in one column or
                in several.
            labels: ``(m, 2 + w)`` int64, per picture its id, its caption's, and those of w others
                that it is right for; see `PairLabels.of`.
        """
        texts, *images = (self.model(column)["sentence_embedding"] for column in features)
        return apply_loss(self.loss, texts, in_one(images), labels)


def in_one(parts: Sequence[Tensor]) -> Tensor:
    """Vectors of several parts in one tensor; fewer token vectors are padded with zeros."""
    if parts[0].dim() == 2:
        return torch.cat(list(parts))
    most = max(part.shape[1] for part in parts)
    return torch.cat([functional.pad(part, (0, 0, 0, most - part.shape[1])) for part in parts])


def apply_loss(
    loss: PairLoss, texts: Tensor, images: Tensor, labels: Tensor
) -> Tensor | dict[str, Tensor]:
    """Apply a loss to the joint batch of all processes, in float32 at least.

    Args:
        loss: The loss.
        texts: ``(n, d)`` this process's caption vectors, or ``(n, t, d)`` of tokens.
        images: ``(m, d)`` this process's picture vectors, hard negatives from row ``n`` on;
            likewise.
        labels: ``(m, 2 + w)`` int64; others may have another w.
    """
    if texts.dtype in (torch.float16, torch.bfloat16):
        texts, images = texts.float(), images.float()
    # Cosines in half precision tie, and a learned temperature would not move.
    with torch.autocast(texts.device.type, enabled=False):
        if several_processes():
            return joint_loss(loss, texts, images, labels)
        result: Tensor | dict[str, Tensor] = loss(texts, images, PairLabels.of(labels))
    return result
