"""`CollapseWatch`: does a generator still give different answers to different questions?"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional

_FEWEST = 4  # rows; fewer span too little to compare


class ModeCollapseWarning(UserWarning):
    """A translator gives nearly the same vector, or a few, whatever it is given."""


class CollapseWatch(nn.Module):
    r"""Compares the diversity of translated vectors with that of real ones, batch by batch.

    With C the covariance of a batch's unit vectors, two shares are taken, translated over real:

    - variance, tr C: near 0 if everything is translated to one point;
    - effective rank, (tr C)² / tr C²: near 0 if it is translated to a few points or a line.

    The smaller one is what is watched. If it stays below a threshold for many batches, a
    `ModeCollapseWarning` is given once.

    Source of the effective rank (participation ratio): Gao et al. 2017,
    https://doi.org/10.1101/214262.

    Args:
        what: What is watched, in words.
        below: The threshold.
        patience: Batches in a row.

    >>> _ = torch.manual_seed(0)
    >>> watch = CollapseWatch("pictures from captions", patience=1)
    >>> real = torch.randn(32, 8)
    >>> float(watch(real, real))
    1.0
    """

    low: Tensor
    warned: Tensor

    def __init__(self, what: str, *, below: float = 0.1, patience: int = 20) -> None:
        super().__init__()
        self.what = what
        self.below = below
        self.patience = patience
        self.register_buffer("low", torch.zeros((), dtype=torch.int64))
        self.register_buffer("warned", torch.zeros((), dtype=torch.bool))

    @torch.no_grad()
    def forward(self, translated: Tensor, real: Tensor) -> Tensor:
        """Compare ``(n, d)`` translated vectors with ``(n, d)`` real ones of that modality.

        Returns:
            The smaller share, ``()``; 1 where the real vectors do not differ themselves.
        """
        share = diversity_share(translated, real)
        self.low.copy_(torch.where(share < self.below, self.low + 1, 0))
        if not self.warned and self.low >= self.patience:
            self.warned.fill_(True)
            warnings.warn(
                f"mode collapse: {self.what} have {float(share):.1%} of the diversity of real ones "
                f"for {self.patience} batches. A greater cycle_weight or pair_weight, or a lower "
                "adversarial_weight, usually helps",
                ModeCollapseWarning,
                stacklevel=2,
            )
        return share


def diversity_share(translated: Tensor, real: Tensor) -> Tensor:
    """The smaller of the shares of variance and of effective rank, ``()``, 0 for one point.

    >>> real = torch.eye(6)
    >>> float(diversity_share(torch.ones(6, 6), real))
    0.0
    """
    if min(len(translated), len(real)) < _FEWEST:
        return torch.ones((), device=real.device)
    rows = min(len(translated), len(real))  # the rank of a batch grows with its size
    variance, rank = _diversity(translated[:rows])
    real_variance, real_rank = _diversity(real[:rows])
    share = torch.minimum(variance / real_variance, rank / real_rank)
    return torch.where(real_variance > 0, share, 1.0)


def _diversity(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """The variance tr C and the rank (tr C)² / tr C²; a Gram matrix has C's eigenvalues."""
    x = functional.normalize(vectors.float(), dim=1)
    x = x - x.mean(dim=0)
    gram = x @ x.T / len(x)  # (n, n)
    variance = gram.trace()
    # What rounding leaves of equal vectors is no variance.
    variance = torch.where(variance > 1e-10, variance, 0.0)
    return variance, variance.square() / gram.square().sum().clamp_min(1e-30)
