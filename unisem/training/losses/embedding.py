"""`EmbeddingLoss`: a `PairLoss` in the shape that sentence-transformers' trainer calls.

**What holds with several processes.** Every process gathers the vectors and labels of all of them
and computes the loss of the joint batch, the same number everywhere. The gradient that flows back
through the gathering is the sum over processes, that is, their number times the joint gradient;
`DistributedDataParallel` then averages. So the model's gradients are those of one process on the
joint batch, for any loss, and the loss's own parameters get the same gradient everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers.util import all_gather, all_gather_with_grad
from torch import Tensor, nn

from unisem.training.losses.base import PairLabels, PairLoss


class EmbeddingLoss(nn.Module):
    """Embed captions and pictures, then apply a `PairLoss` to the vectors.

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
            features: The features of ``n`` captions, then those of ``m`` pictures.
            labels: ``(m, 2)`` int64: picture id and caption id per picture.
        """
        texts, images = (self.model(column)["sentence_embedding"] for column in features)
        return apply_loss(self.loss, texts, images, labels)


def apply_loss(
    loss: PairLoss, texts: Tensor, images: Tensor, labels: Tensor
) -> Tensor | dict[str, Tensor]:
    """Apply a loss to the joint batch of all processes, in float32 at least.

    Args:
        loss: The loss.
        texts: ``(n, d)`` this process's caption vectors.
        images: ``(m, d)`` this process's picture vectors, hard negatives from row ``n`` on.
        labels: ``(m, 2)`` int64.
    """
    rows = len(texts)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        texts = all_gather_with_grad(texts)
        images, labels = (
            torch.cat([gather(part[:rows]), gather(part[rows:])])
            if len(part) > rows
            else gather(part)
            for part, gather in ((images, all_gather_with_grad), (labels, all_gather))
        )
    if texts.dtype in (torch.float16, torch.bfloat16):
        texts, images = texts.float(), images.float()
    # Cosines in half precision tie, and a learned temperature would not move.
    with torch.autocast(texts.device.type, enabled=False):
        result: Tensor | dict[str, Tensor] = loss(
            texts, images, PairLabels(labels[:, 0], labels[:, 1])
        )
    return result
