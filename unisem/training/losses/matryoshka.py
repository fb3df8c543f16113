"""`Matryoshka`: a loss at several lengths of the vectors, so that they may be cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from unisem.training.losses.base import PairLabels, PairLoss, total


class Matryoshka(PairLoss):
    r"""Another loss on the first d' numbers of every vector, summed over several d'.

    .. math:: L = \sum_{d'} w_{d'}\, L_{inner}(t_{:d'}, v_{:d'})

    It acts on vectors, so it goes with cached gradients, several processes and learned
    temperatures alike; sentence-transformers' ``MatryoshkaLoss`` patches the model's ``forward``
    instead and gives the same loss and gradients.

    Source: Kusupati et al. 2022, "Matryoshka Representation Learning",
    https://arxiv.org/abs/2205.13147.

    Args:
        loss: The inner loss; it must normalise, as all in this package do.
        dimensions: The lengths d', the full one among them.
        weights: One w per length; all 1 if ``None``.

    Shapes: as the inner loss.

    >>> from unisem.training.losses import InfoNCE
    >>> _ = torch.manual_seed(0)
    >>> texts, images = torch.randn(4, 8), torch.randn(4, 8)
    >>> loss = Matryoshka(InfoNCE(), [8, 4])
    >>> bool(loss(texts, images, PairLabels.distinct(4)) > 0)
    True
    """

    def __init__(
        self,
        loss: PairLoss,
        dimensions: Sequence[int],
        weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if not dimensions or min(dimensions) < 1:
            raise ValueError(f"dimensions must be positive numbers, not {list(dimensions)}")
        if weights is not None and len(weights) != len(dimensions):
            raise ValueError(f"{len(weights)} weights for {len(dimensions)} dimensions")
        self.loss = loss
        self.dimensions = tuple(dimensions)
        self.weights = tuple(weights or [1.0] * len(dimensions))

    def forward(self, texts: Tensor, images: Tensor, labels: PairLabels) -> Tensor:
        """Compute the loss; see `PairLoss.forward`."""
        if max(self.dimensions) > texts.shape[1]:
            raise ValueError(
                f"the vectors have {texts.shape[1]} numbers, so {max(self.dimensions)} is no length"
            )
        parts = [
            weight * total(self.loss(texts[:, :length], images[:, :length], labels))
            for length, weight in zip(self.dimensions, self.weights, strict=True)
        ]
        return torch.stack(parts).sum()

    def on_progress(self, share: float) -> None:
        """Pass the share on to the inner loss."""
        self.loss.on_progress(share)

    def own_parameters(self) -> Iterator[nn.Parameter]:
        """The inner loss's."""
        return self.loss.own_parameters()

    def metrics(self) -> dict[str, float]:
        """The inner loss's."""
        return self.loss.metrics()
