"""`PairLoss`: what a loss over captions and pictures is, and `PairLabels`: who belongs to whom."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn


class PairLabels(NamedTuple):
    """Which pictures and which captions are the same.

    Attributes:
        images: ``(m,)`` int64, a picture id per row of pictures.
        captions: ``(m,)`` int64, a caption id per row of pictures: its own pair's.
    """

    images: Tensor
    captions: Tensor

    def matches(self, rows: int) -> Tensor:
        """``(rows, m)`` bool: caption i and picture j are a pair, by picture or by caption.

        >>> labels = PairLabels(torch.tensor([0, 1, 0]), torch.tensor([0, 1, 2]))
        >>> labels.matches(2).tolist()
        [[True, False, True], [False, True, False]]
        """
        return PairLabels(self.images[:rows], self.captions[:rows]).matching(self)

    def matching(self, others: PairLabels) -> Tensor:
        """``(n, m)`` bool: which of these go with which of the others, by picture or caption."""
        same_image = self.images[:, None] == others.images[None, :]
        return same_image | (self.captions[:, None] == others.captions[None, :])

    @classmethod
    def distinct(cls, count: int, device: torch.device | str | None = None) -> PairLabels:
        """Labels of ``count`` pairs that have nothing in common."""
        numbers = torch.arange(count, device=device)
        return cls(numbers, numbers)


class PairLoss(nn.Module, ABC):
    """A loss that sees vectors of captions and pictures, and nothing else."""

    @abstractmethod
    def forward(
        self, texts: Tensor, images: Tensor, labels: PairLabels
    ) -> Tensor | dict[str, Tensor]:
        """Compute the loss of a batch.

        Args:
            texts: ``(n, d)`` float caption vectors.
            images: ``(m, d)`` float picture vectors, ``m >= n``: row ``i < n`` is caption i's
                picture, rows from ``n`` on are hard negatives.
            labels: Ids of the ``m`` rows.

        Returns:
            A scalar, or scalars by name whose sum is the loss and which are logged one by one.
        """

    def on_progress(self, share: float) -> None:
        """Called before every step with the share of training that is done, from 0 to 1."""

    def own_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters that this loss steps itself; the trainer's optimiser leaves them alone."""
        return iter(())

    def metrics(self) -> dict[str, float]:
        """Numbers by name to log beside the loss, such as a discriminator's accuracy."""
        return {}


class ChunkedLoss(PairLoss):
    """A loss that judges each caption with each picture by itself, so that it is a sum of chunks.

    Several processes then need not hold each other's vectors at once: captions go round.
    """

    @abstractmethod
    def chunk(
        self, texts: Tensor, images: Tensor, asked: PairLabels, seen: PairLabels, *, own: bool
    ) -> Tensor:
        """Sum over the combinations of some captions and some pictures.

        Args:
            texts: ``(n, d)`` caption vectors.
            images: ``(m, d)`` picture vectors.
            asked: Ids of the ``n`` captions' pairs.
            seen: Ids of the ``m`` pictures' pairs.
            own: Whether picture ``i < n`` is caption i's; else no caption is with its picture.
        """

    def forward(self, texts: Tensor, images: Tensor, labels: PairLabels) -> Tensor:
        """The mean over captions; see `PairLoss.forward`."""
        rows = len(texts)
        asked = PairLabels(labels.images[:rows], labels.captions[:rows])
        return self.chunk(texts, images, asked, labels, own=True) / rows


def total(loss: Tensor | dict[str, Tensor]) -> Tensor:
    """The scalar to minimise."""
    return loss if isinstance(loss, Tensor) else torch.stack(list(loss.values())).sum()
