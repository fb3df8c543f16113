"""`Sigmoid`: every caption and every picture of the batch judged by itself, pair or no pair."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from unisem.training.losses.base import ChunkedLoss, PairLabels


class Sigmoid(ChunkedLoss):
    r"""SigLIP's loss: a binary decision for each of the n x m combinations.

    .. math:: L = -\frac{1}{n} \sum_i \sum_j w_{ij} \log σ\big(z_{ij} (s\, t_i \cdot v_j + b)\big)

    with z = 1 for a caption and its own picture and -1 otherwise, and w = 0 for false negatives
    (same picture or same caption, but another pair). The scale s and the bias b are learned. There
    is no softmax over the batch, so the loss needs no large batches, and several processes compute
    it in chunks.

    Source: Zhai et al. 2023, "Sigmoid Loss for Language Image Pre-Training",
    https://arxiv.org/abs/2303.15343, algorithm 1. sentence-transformers has no such loss.

    Args:
        scale: s at the start.
        bias: b at the start. The paper's -10 suits training from nothing with very large batches.

    Shapes: ``texts (n, d)``, ``images (m, d)`` with hard negatives from row n on, loss ``()``.

    >>> _ = torch.manual_seed(0)
    >>> texts, images = torch.randn(4, 8), torch.randn(4, 8)
    >>> loss = Sigmoid()
    >>> labels = PairLabels.distinct(4)
    >>> bool(loss(texts, texts, labels) < loss(texts, images, labels))
    True
    """

    def __init__(self, scale: float = 10.0, bias: float = -10.0) -> None:
        super().__init__()
        if not scale > 0:
            raise ValueError(f"scale must be above 0, not {scale}")
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.bias = nn.Parameter(torch.tensor(float(bias)))

    def chunk(
        self, texts: Tensor, images: Tensor, asked: PairLabels, seen: PairLabels, *, own: bool
    ) -> Tensor:
        """Sum over the combinations; see `ChunkedLoss.chunk`."""
        texts, images = functional.normalize(texts, dim=1), functional.normalize(images, dim=1)
        logits = self.log_scale.exp() * texts @ images.T + self.bias  # (n, m)
        sign = torch.full_like(logits, -1.0)
        ignored = asked.matching(seen)
        if own:
            sign.fill_diagonal_(1.0)
            ignored.fill_diagonal_(False)
        return -functional.logsigmoid(sign * logits).masked_fill(ignored, 0.0).sum()
