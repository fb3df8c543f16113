"""`AdversarialLoss`: a loss with opponents beside it, who learn from the same batches."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from unisem.training.adversarial.adam import OwnAdam
from unisem.training.adversarial.gradient_reversal import reversal_strength
from unisem.training.adversarial.means import RunningMeans
from unisem.training.losses.base import PairLabels, PairLoss


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
