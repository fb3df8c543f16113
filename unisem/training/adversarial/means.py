"""`RunningMeans`: what is measured while training, averaged over the latest steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class RunningMeans(nn.Module):
    """Exponential means of a few named numbers, kept where they are computed until asked for.

    Buffers, so that a resumed run logs what an uninterrupted one logs.

    Args:
        names: Of the numbers.
        decay: Weight of the past at each step; 0.95 averages over about 20 steps.

    >>> means = RunningMeans(["gap"])
    >>> means.values()
    {}
    >>> for gap in (1.0, 1.0, 1.0):
    ...     means.add({"gap": torch.tensor(gap)})
    >>> round(means.values()["gap"], 6)
    1.0
    """

    sums: Tensor
    weight: Tensor

    def __init__(self, names: Sequence[str], decay: float = 0.95) -> None:
        super().__init__()
        self._names = tuple(names)
        self._decay = decay
        self.register_buffer("sums", torch.zeros(len(self._names)))
        self.register_buffer("weight", torch.zeros(()))

    def add(self, numbers: Mapping[str, Tensor]) -> None:
        """Take in one step's numbers, one scalar for each name."""
        latest = torch.stack([numbers[name].detach() for name in self._names])
        self.sums.lerp_(latest.to(self.sums), 1 - self._decay)
        self.weight.lerp_(torch.ones_like(self.weight), 1 - self._decay)

    def values(self) -> dict[str, float]:
        """The means by name; empty before the first step."""
        if not float(self.weight):
            return {}
        return dict(zip(self._names, (self.sums / self.weight).tolist(), strict=True))
