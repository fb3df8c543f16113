"""`AdversarialReversal`: vectors that do not say whether they were a caption or a picture."""

from __future__ import annotations

import torch
from torch import Tensor

from unisem.training.adversarial.adam import OwnAdam
from unisem.training.adversarial.base import AdversarialLoss, modality_gap, seeded
from unisem.training.adversarial.discriminator import (
    Discriminator,
    modality_accuracy,
    modality_loss,
)
from unisem.training.adversarial.gradient_reversal import reverse_gradient
from unisem.training.losses.base import PairLoss


class AdversarialReversal(AdversarialLoss):
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

    >>> from unisem.training.losses import InfoNCE, PairLabels
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
        super().__init__(
            base,
            dimension,
            weight=weight,
            steepness=steepness,
            measured=["discriminator_accuracy", "modality_gap", "reversal_strength"],
        )
        if not 0 <= smoothing < 0.5:
            raise ValueError(f"smoothing must be from 0 to below 0.5, not {smoothing}")
        if steps < 1:
            raise ValueError(f"steps must be at least 1, not {steps}")
        with seeded(seed):
            self.discriminator = Discriminator(
                dimension, hidden=hidden, spectral_norm=spectral_norm
            )
        self.optimizer = OwnAdam(self.discriminator.parameters(), rate=rate)
        self.smoothing = smoothing
        self.steps = steps

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

    def _opposition(self, texts: Tensor, images: Tensor) -> dict[str, Tensor]:
        texts, images = (reverse_gradient(side, self.strength) for side in (texts, images))
        return {"discriminator": self._loss(texts, images)}

    def _loss(self, texts: Tensor, images: Tensor) -> Tensor:
        return modality_loss(self.discriminator(texts), self.discriminator(images), self.smoothing)
