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
        guide: ``(n, m)`` float, how alike a guide finds n captions and the pictures; see `Guided`.
        others: ``(m, w)`` int64, ids of more captions that a picture is right for, by pairs that
            are elsewhere, or that it is itself; -1 where there are fewer.
    """

    images: Tensor
    captions: Tensor
    guide: Tensor | None = None
    others: Tensor | None = None

    @classmethod
    def of(cls, labels: Tensor) -> PairLabels:
        """From ``(m, 2 + w)`` int64: picture ids, caption ids, and the others."""
        return cls(labels[:, 0], labels[:, 1], others=labels[:, 2:])

    def first(self, rows: int) -> PairLabels:
        """Those of the captions."""
        others = None if self.others is None else self.others[:rows]
        return PairLabels(self.images[:rows], self.captions[:rows], self.guide, others)

    def matches(self, rows: int) -> Tensor:
        """``(rows, m)`` bool: picture j is no negative of caption i.

        They are a pair, here or elsewhere, or more alike than caption i and its own picture.

        >>> labels = PairLabels(torch.tensor([0, 1, 0]), torch.tensor([0, 1, 2]))
        >>> labels.matches(2).tolist()
        [[True, False, True], [False, True, False]]
        """
        same = self.first(rows)._same(self)
        return same if self.guide is None else same | _alike(self.guide)

    def image_matches(self, rows: int) -> Tensor:
        """``(rows, rows)`` bool: caption j is no negative of picture i; see `matches`."""
        asked = self.first(rows)
        same = asked._same(asked).T
        return same if self.guide is None else same | _alike(self.guide[:, :rows].T)

    def matching(self, others: PairLabels) -> Tensor:
        """``(n, m)`` bool: which of these are no negatives of others, seen from either side."""
        same = self._same(others)
        if self.guide is None:
            return same
        rows = len(self.guide)
        either = same | _alike(self.guide)
        either[:, :rows] |= _alike(self.guide[:, :rows].T).T
        return either

    def _same(self, shown: PairLabels) -> Tensor:
        """``(n, m)`` bool: these captions are of a pair with the pictures that are shown."""
        same = self.images[:, None] == shown.images[None, :]
        same |= self.captions[:, None] == shown.captions[None, :]
        if shown.others is not None and shown.others.numel():
            picture, place = (shown.others >= 0).nonzero(as_tuple=True)
            right = self.captions[:, None] == shown.others[picture, place][None, :]
            caption, which = right.nonzero(as_tuple=True)
            same[caption, picture[which]] = True
        return same

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
        return self.chunk(texts, images, labels.first(rows), labels, own=True) / rows


def _alike(guide: Tensor) -> Tensor:
    """``(n, m)`` bool: row i finds column j more alike than its own, column i."""
    return guide > guide.diagonal()[:, None]


def total(loss: Tensor | dict[str, Tensor]) -> Tensor:
    """The scalar to minimise."""
    return loss if isinstance(loss, Tensor) else torch.stack(list(loss.values())).sum()
