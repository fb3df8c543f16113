"""`AdversarialTranslation`: translators between the modalities, judged by discriminators."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unisem.training.adversarial.adam import OwnAdam
from unisem.training.adversarial.base import AdversarialLoss, modality_gap, seeded
from unisem.training.adversarial.collapse import CollapseWatch
from unisem.training.adversarial.discriminator import Discriminator
from unisem.training.adversarial.translator import Translator, cycle_loss, squared_distance
from unisem.training.losses.base import PairLoss


class AdversarialTranslation(AdversarialLoss):
    r"""A loss, and beside it generators that turn either modality's vectors into the other's.

    G translates text to image, F image to text; D_I and D_T tell real vectors of their modality
    from translated ones.

    .. math::
        L_{D_I} &= \overline{s(-D_I(v))} + \overline{s(D_I(G(t)))}
            + \tfrac{r}{2}\, \overline{|∇_v D_I(v)|^2}, \qquad s(z) = \log(1 + e^z) \\
        L_G &= a\, \big[\overline{s(-D_I(G(t)))} + \overline{s(-D_T(F(v)))}\big]
            + c\, L_{cyc}(t, v) + p\, \big[\overline{|G(t) - v|^2} + \overline{|F(v) - t|^2}\big] \\
        L &= L_{base}(t, v) + w λ_p\, L_G(t, v)

    and L_{D_T} alike. Per batch: the discriminators take a step down L_{D_I} + L_{D_T}, then the
    translators one down L_G, both on detached vectors; then the model gets the gradient of L, in
    which the translators and discriminators are constants. So the encoders are the first layers of
    the generators, as in the article this project grew from. λ_p is DANN's schedule: the encoders
    follow once the translators know something. Translators are not part of the trained encoder.

    What keeps it stable, each against a known failure:

    - two optimisers at two rates, discriminators faster (TTUR), so that the translators follow a
      judge who is nearly up to date: Heusel et al. 2017, https://arxiv.org/abs/1706.08500;
    - the R1 penalty r on real vectors, without which even simple GANs circle around their
      equilibrium if the data do not fill the space: Mescheder et al. 2018,
      https://arxiv.org/abs/1801.04406;
    - the pair term p, because cycle consistency alone allows any permutation.

    `metrics` gives, as means over the latest steps: ``discriminator_accuracy`` (real from
    translated, both modalities, before learning from the batch), ``cycle``, ``modality_gap``,
    ``image_diversity`` and ``text_diversity``: what share of the diversity of real vectors the
    translated ones have. If that stays low, a `ModeCollapseWarning` says so.

    Sources: Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, the non-saturating loss; Zhu
    et al. 2017 (CycleGAN), https://arxiv.org/abs/1703.10593.

    Args:
        base: The loss that knows which caption belongs to which picture.
        dimension: d, numbers in a vector.
        weight: w, how much the encoders heed the translators.
        adversarial_weight: a.
        cycle_weight: c.
        pair_weight: p; 0 is CycleGAN, which knows no pairs.
        penalty: r.
        steepness: γ of the schedule.
        hidden: Units per hidden layer.
        translator_rate: Learning rate of the translators.
        discriminator_rate: Learning rate of the discriminators.
        collapse_below: Share of diversity that counts as collapse.
        collapse_patience: Batches in a row before the warning.
        seed: Of the starting weights, the same in every process.

    Shapes: ``texts (n, d)``, ``images (m, d)``, a dictionary of ``()``: the base loss's parts,
    ``translation_adversarial``, ``translation_cycle``, ``translation_pair``, each weighted.

    >>> from unisem.training.losses import InfoNCE, PairLabels
    >>> _ = torch.manual_seed(0)
    >>> texts, images = torch.randn(4, 8), torch.randn(4, 8)
    >>> loss = AdversarialTranslation(InfoNCE(), dimension=8)
    >>> loss.on_progress(0.5)
    >>> list(loss(texts, images, PairLabels.distinct(4)))
    ['base', 'translation_adversarial', 'translation_cycle', 'translation_pair']
    """

    def __init__(
        self,
        base: PairLoss,
        dimension: int,
        *,
        weight: float = 1.0,
        adversarial_weight: float = 0.1,
        cycle_weight: float = 1.0,
        pair_weight: float = 1.0,
        penalty: float = 1.0,
        steepness: float = 10.0,
        hidden: int = 256,
        translator_rate: float = 1e-4,
        discriminator_rate: float = 4e-4,
        collapse_below: float = 0.1,
        collapse_patience: int = 20,
        seed: int = 0,
    ) -> None:
        super().__init__(
            base,
            dimension,
            weight=weight,
            steepness=steepness,
            measured=[
                "discriminator_accuracy",
                "cycle",
                "modality_gap",
                "image_diversity",
                "text_diversity",
            ],
        )
        for name, value in (
            ("adversarial_weight", adversarial_weight),
            ("cycle_weight", cycle_weight),
            ("pair_weight", pair_weight),
            ("penalty", penalty),
        ):
            if value < 0:
                raise ValueError(f"{name} must not be negative: {value}")
        with seeded(seed):
            self.to_image = Translator(dimension, hidden=hidden)
            self.to_text = Translator(dimension, hidden=hidden)
            self.judge_image = Discriminator(dimension, hidden=hidden)
            self.judge_text = Discriminator(dimension, hidden=hidden)
        self.translating = OwnAdam(
            [*self.to_image.parameters(), *self.to_text.parameters()], rate=translator_rate
        )
        self.judging = OwnAdam(
            [*self.judge_image.parameters(), *self.judge_text.parameters()],
            rate=discriminator_rate,
        )
        self.image_watch, self.text_watch = (
            CollapseWatch(what, below=collapse_below, patience=collapse_patience)
            for what in ("pictures translated from captions", "captions translated from pictures")
        )
        self.adversarial_weight = adversarial_weight
        self.cycle_weight = cycle_weight
        self.pair_weight = pair_weight
        self.penalty = penalty

    def generator_parts(self, texts: Tensor, images: Tensor) -> dict[str, Tensor]:
        """The weighted terms of L_G by name: ``adversarial``, ``cycle`` and ``pair``."""
        as_images, as_texts = self.to_image(texts), self.to_text(images)
        own = images[: len(texts)]
        fooled = functional.softplus(-self.judge_image(as_images)).mean()
        fooled = fooled + functional.softplus(-self.judge_text(as_texts)).mean()
        met = squared_distance(as_images, own) + squared_distance(as_texts[: len(texts)], texts)
        return {
            "adversarial": self.adversarial_weight * fooled,
            "cycle": self.cycle_weight * cycle_loss(texts, images, self.to_image, self.to_text),
            "pair": self.pair_weight * met,
        }

    def _opposition(self, texts: Tensor, images: Tensor) -> dict[str, Tensor]:
        return {
            f"translation_{name}": self.strength * value
            for name, value in self.generator_parts(texts, images).items()
        }

    def _learn(self, texts: Tensor, images: Tensor) -> None:
        with torch.no_grad():
            as_images, as_texts = self.to_image(texts), self.to_text(images)
            self._measure(texts, images, as_images, as_texts)
        self.judging.minimize(
            lambda: (
                self._judging_loss(self.judge_image, images, as_images)
                + self._judging_loss(self.judge_text, texts, as_texts)
            )
        )
        self.translating.minimize(
            lambda: torch.stack(list(self.generator_parts(texts, images).values())).sum()
        )

    def _judging_loss(self, judge: nn.Module, real: Tensor, translated: Tensor) -> Tensor:
        real = functional.normalize(real, dim=1).requires_grad_()
        of_real = judge(real)
        loss = functional.softplus(-of_real).mean()
        loss = loss + functional.softplus(judge(translated)).mean()
        if not self.penalty:
            return loss
        (slope,) = torch.autograd.grad(of_real.sum(), real, create_graph=True)
        return loss + self.penalty / 2 * slope.square().sum(dim=1).mean()

    def _measure(self, texts: Tensor, images: Tensor, as_images: Tensor, as_texts: Tensor) -> None:
        right = [
            (sign * judge(vectors) > 0).float().mean()
            for judge, real, translated in (
                (self.judge_image, images, as_images),
                (self.judge_text, texts, as_texts),
            )
            for sign, vectors in ((1, real), (-1, translated))
        ]
        self.means.add(
            {
                "discriminator_accuracy": torch.stack(right).mean(),
                "cycle": cycle_loss(texts, images, self.to_image, self.to_text),
                "modality_gap": modality_gap(texts, images),
                "image_diversity": self.image_watch(as_images, images),
                "text_diversity": self.text_watch(as_texts, texts),
            }
        )
