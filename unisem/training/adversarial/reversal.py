"""`AdversarialReversal`: vectors that do not say whether they were a caption or a picture."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unisem.training.adversarial.adam import OwnAdam
from unisem.training.adversarial.checking import check_dimension
from unisem.training.adversarial.discriminator import (
    Discriminator,
    modality_accuracy,
    modality_loss,
)
from unisem.training.adversarial.gap import modality_gap
from unisem.training.adversarial.gradient_reversal import reversal_strength, reverse_gradient
from unisem.training.adversarial.means import RunningMeans
from unisem.training.adversarial.seeding import seeded
from unisem.training.losses.base import PairLabels, PairLoss


class AdversarialReversal(PairLoss):
    r"""A loss, and against it a modality discriminator behind a gradient reversal.

    .. math:: \min_D L_D(t, v), \qquad \min_θ L_{base}(t, v) - λ\, L_D(t, v), \qquad λ = w λ_p

    with L_D the cross-entropy of telling pictures from captions and λ_p DANN's schedule. At the
    equilibrium the discriminator's accuracy is one half: the modalities have one distribution, and
    with it one centroid. That says nothing about pairs; the base loss has to.

    The discriminator has an optimiser of its own and takes its steps first, on detached vectors, as
    in ACMR: with the model's learning rate, 1e-5 when towers are fine-tuned, it would never learn
    anything. The value logged as ``discriminator`` is L_D; only its gradient is reversed.

    `metrics` gives, as means over the latest steps: ``discriminator_accuracy``, taken before the
    discriminator has seen the batch; ``modality_gap``, the distance of the two centroids of unit
    vectors, 0 to 2; ``reversal_strength``, λ.

    Sources: Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks" (DANN),
    https://arxiv.org/abs/1505.07818; Wang et al. 2017, "Adversarial Cross-Modal Retrieval" (ACMR),
    https://doi.org/10.1145/3123266.3123326; Liang et al. 2022, "Mind the Gap",
    https://arxiv.org/abs/2203.02053, for the gap.

    Args:
        base: The loss that knows which caption belongs to which picture.
        dimension: d, numbers in a vector.
        weight: w, the greatest λ.
        steepness: γ of the schedule.
        smoothing: Label smoothing ε of the discriminator, from 0 to below 0.5.
        hidden: Units per hidden layer of the discriminator.
        spectral_norm: Normalise the discriminator spectrally. Without it, one that has won is sure
            of itself, its cross-entropy is flat, and nothing is left to be reversed.
        rate: Learning rate of the discriminator.
        steps: Steps of the discriminator per batch.
        seed: Of the discriminator's starting weights, the same in every process.

    Shapes: ``texts (n, d)``, ``images (m, d)``, a dictionary of ``()``: the base loss's parts, and
    ``discriminator``.

    >>> from unisem.training.losses import InfoNCE
    >>> _ = torch.manual_seed(0)
    >>> texts, images = torch.randn(4, 8), torch.randn(4, 8)
    >>> loss = AdversarialReversal(InfoNCE(), dimension=8)
    >>> loss.on_progress(0.5)
    >>> list(loss(texts, images, PairLabels.distinct(4)))
    ['base', 'discriminator']
    >>> list(loss.metrics())
    ['discriminator_accuracy', 'modality_gap', 'reversal_strength']
    """

    def __init__(
        self,
        base: PairLoss,
        dimension: int,
        *,
        weight: float = 1.0,
        steepness: float = 10.0,
        smoothing: float = 0.0,
        hidden: int = 256,
        spectral_norm: bool = True,
        rate: float = 1e-3,
        steps: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not weight > 0:
            raise ValueError(f"weight must be above 0, not {weight}; without it use the base loss")
        if not 0 <= smoothing < 0.5:
            raise ValueError(f"smoothing must be from 0 to below 0.5, not {smoothing}")
        if steps < 1:
            raise ValueError(f"steps must be at least 1, not {steps}")
        self.base = base
        self.dimension = dimension
        with seeded(seed):
            self.discriminator = Discriminator(
                dimension, hidden=hidden, spectral_norm=spectral_norm
            )
        self.optimizer = OwnAdam(self.discriminator.parameters(), rate=rate)
        self.means = RunningMeans(["discriminator_accuracy", "modality_gap", "reversal_strength"])
        self.weight = weight
        self.steepness = steepness
        self.smoothing = smoothing
        self.steps = steps
        self.strength = 0.0

    def forward(self, texts: Tensor, images: Tensor, labels: PairLabels) -> dict[str, Tensor]:
        """Compute the loss; while gradients are wanted, the discriminator learns from the batch."""
        check_dimension(texts, self.dimension)
        parts = parts_of(self.base(texts, images, labels))
        if torch.is_grad_enabled() and self.training:
            self._learn(texts.detach(), images.detach())
        parts["discriminator"] = self._loss(
            reverse_gradient(texts, self.strength),
            reverse_gradient(images, self.strength),
        )
        return parts

    def on_progress(self, share: float) -> None:
        """Set λ; pass the share on to the base loss."""
        self.strength = self.weight * reversal_strength(share, self.steepness)
        self.base.on_progress(share)

    def own_parameters(self) -> Iterator[nn.Parameter]:
        """The discriminator's, and the base loss's."""
        yield from self.optimizer.trained()
        yield from self.base.own_parameters()

    def metrics(self) -> dict[str, float]:
        """Accuracy, gap and strength, and the base loss's."""
        return self.base.metrics() | self.means.values()

    def _learn(self, texts: Tensor, images: Tensor) -> None:
        with torch.no_grad():
            self.means.add(
                {
                    "discriminator_accuracy": modality_accuracy(
                        self.discriminator(texts), self.discriminator(images)
                    ),
                    "modality_gap": modality_gap(texts, images),
                    "reversal_strength": texts.new_tensor(self.strength),
                }
            )
        for _ in range(self.steps):
            self.optimizer.minimize(lambda: self._loss(texts, images))

    def _loss(self, texts: Tensor, images: Tensor) -> Tensor:
        return modality_loss(self.discriminator(texts), self.discriminator(images), self.smoothing)


def parts_of(loss: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    """A base loss's parts by name; one that has none is called ``base``."""
    return {"base": loss} if isinstance(loss, Tensor) else dict(loss)
