"""`AdversarialLoss`: a loss with opponents beside it, who learn from the same batches."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from unisem.training.adversarial.adam import OwnAdam
from unisem.training.adversarial.gradient_reversal import reversal_strength
from unisem.training.losses.base import PairLabels, PairLoss


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


class AdversarialLoss(PairLoss):
    """A base loss, and opponents that the model heeds more and more.

    Per batch the opponents learn first, on detached vectors, each by an `OwnAdam` that the subclass
    keeps as a submodule. Then the model gets the gradients of the base loss and of what the
    opponents add, in which they are constants. How strongly it heeds them, λ = w λ_p, follows
    DANN's schedule, `reversal_strength`.

    Args:
        base: The loss that knows which caption belongs to which picture.
        dimension: d, numbers in a vector.
        weight: w, the greatest λ.
        steepness: γ of the schedule.
        measured: Names of what `metrics` gives beside the base loss's.

    Raises:
        ValueError: The weight is not above 0.
    """

    def __init__(
        self,
        base: PairLoss,
        dimension: int,
        *,
        weight: float,
        steepness: float,
        measured: Sequence[str],
    ) -> None:
        super().__init__()
        if not weight > 0:
            raise ValueError(f"weight must be above 0, not {weight}; without it use the base loss")
        self.base = base
        self.dimension = dimension
        self.means = RunningMeans(measured)
        self.weight = weight
        self.steepness = steepness
        self.strength = 0.0

    @abstractmethod
    def _learn(self, texts: Tensor, images: Tensor) -> None:
        """Let the opponents learn from a batch of detached vectors, and measure them."""

    @abstractmethod
    def _opposition(self, texts: Tensor, images: Tensor) -> dict[str, Tensor]:
        """What the opponents add to the model's loss, by name; heeds ``strength``, λ."""

    def forward(self, texts: Tensor, images: Tensor, labels: PairLabels) -> dict[str, Tensor]:
        """Compute the loss; while gradients are wanted, the opponents learn from the batch first.

        Raises:
            ValueError: The vectors' dimension is not the one that the opponents were made for.
        """
        if texts.shape[1] != self.dimension:
            raise ValueError(
                f"the vectors have {texts.shape[1]} numbers, the adversarial loss was made for "
                f"{self.dimension}; put Matryoshka inside an adversarial loss, not around it"
            )
        loss = self.base(texts, images, labels)
        parts = {"base": loss} if isinstance(loss, Tensor) else dict(loss)
        if torch.is_grad_enabled() and self.training:
            self._learn(texts.detach(), images.detach())
        return parts | self._opposition(texts, images)

    def on_progress(self, share: float) -> None:
        """Set how much the model heeds the opponents; pass the share on to the base loss."""
        self.strength = self.weight * reversal_strength(share, self.steepness)
        self.base.on_progress(share)

    def own_parameters(self) -> Iterator[nn.Parameter]:
        """The opponents', and the base loss's."""
        for part in self.children():
            if isinstance(part, OwnAdam):
                yield from part.trained()
        yield from self.base.own_parameters()

    def metrics(self) -> dict[str, float]:
        """What the class says, and the base loss's."""
        return self.base.metrics() | self.means.values()


def modality_gap(texts: Tensor, images: Tensor) -> Tensor:
    r"""Distance of the centroids of unit vectors.

    .. math:: \Big| \frac{1}{n} \sum_i \frac{t_i}{|t_i|} -
        \frac{1}{m} \sum_j \frac{v_j}{|v_j|} \Big|

    Source: Liang et al. 2022, "Mind the Gap", https://arxiv.org/abs/2203.02053, section 2.

    Args:
        texts: ``(n, d)``.
        images: ``(m, d)``.

    >>> texts, images = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 3.0]])
    >>> round(float(modality_gap(texts, images)), 4)
    1.4142
    """
    centroids = [functional.normalize(side, dim=1).mean(dim=0) for side in (texts, images)]
    return (centroids[0] - centroids[1]).square().sum().sqrt()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from a seed on the CPU inside the block; outside, nothing has been drawn.

    >>> with seeded(3):
    ...     one = torch.rand(2)
    >>> with seeded(3):
    ...     other = torch.rand(2)
    >>> torch.equal(one, other)
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
