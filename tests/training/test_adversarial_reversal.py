"""Gradient reversal against its definition, and the discriminator against a gap that is there."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from unisem.training.adversarial import (
    AdversarialReversal,
    Discriminator,
    GradientReversal,
    reversal_strength,
)
from unisem.training.adversarial.adam import OwnAdam
from unisem.training.adversarial.base import modality_gap
from unisem.training.adversarial.discriminator import modality_accuracy, modality_loss
from unisem.training.adversarial.gradient_reversal import reverse_gradient
from unisem.training.losses import InfoNCE, Matryoshka, PairLabels, PairLoss
from unisem.training.losses.base import total


class Nothing(PairLoss):
    """A base loss without a gradient, so that the adversary's is alone."""

    def forward(self, texts: Tensor, images: Tensor, labels: PairLabels) -> Tensor:
        return (texts * 0).sum()


def vectors(seed: int, rows: int, size: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, size, generator=generator, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("strength", [0.0, 0.3, 2.0])
def test_the_layer_is_the_identity_and_turns_gradients_round(strength: float) -> None:
    x = vectors(0, 5)
    weights = torch.linspace(-1, 1, 40, dtype=torch.float64).reshape(5, 8)
    y = GradientReversal.apply(x, strength)
    assert torch.equal(y, x)
    (reversed_,) = torch.autograd.grad((y.tanh() * weights).sum(), x)
    (plain,) = torch.autograd.grad((x.tanh() * weights).sum(), x)
    torch.testing.assert_close(reversed_, -strength * plain, rtol=0, atol=1e-6)
    assert plain.abs().max() > 0.1


@pytest.mark.parametrize(
    ("share", "expected"), [(0, 0.0), (0.1, 0.46211716), (0.25, 0.84828364), (1, 0.9999092)]
)
def test_the_schedule_is_danns(share: float, expected: float) -> None:
    assert reversal_strength(share) == pytest.approx(expected, abs=1e-7)
    assert reversal_strength(share) == pytest.approx(math.tanh(5 * share), abs=1e-12)
    loss = AdversarialReversal(InfoNCE(), 8, weight=0.4)
    loss.on_progress(share)
    assert loss.strength == pytest.approx(0.4 * expected, abs=1e-7)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_model_gets_minus_lambda_times_the_discriminators_gradient(smoothing: float) -> None:
    texts, images = vectors(1, 5), vectors(2, 7)  # two hard negatives
    loss = AdversarialReversal(
        Nothing(), 8, weight=0.7, smoothing=smoothing, spectral_norm=False
    ).double()
    loss.on_progress(0.1)
    parts = loss(texts, images, PairLabels.distinct(7))
    reversed_ = torch.autograd.grad(total(parts), [texts, images])
    # The discriminator has taken its step; what it says now is written out term by term.
    of_texts, of_images = (torch.sigmoid(loss.discriminator(side)) for side in (texts, images))
    low, high = smoothing, 1 - smoothing
    plain = -(
        (high * of_images.log() + low * (1 - of_images).log()).mean()
        + (low * of_texts.log() + high * (1 - of_texts).log()).mean()
    )
    torch.testing.assert_close(parts["discriminator"], plain / 2, rtol=0, atol=1e-12)
    strength = 0.7 * math.tanh(0.5)
    for ours, theirs in zip(
        reversed_, torch.autograd.grad(plain / 2, [texts, images]), strict=True
    ):
        torch.testing.assert_close(ours, -strength * theirs, rtol=0, atol=1e-6)
        assert theirs.abs().max() > 1e-3


def test_the_base_loss_keeps_its_value_gradient_and_parts() -> None:
    texts, images = vectors(1, 5), vectors(2, 5)
    labels = PairLabels.distinct(5)
    base = InfoNCE(0.1, learned=True).double()
    loss = AdversarialReversal(base, 8).double()  # λ is 0 before training begins
    ours = torch.autograd.grad(total(loss(texts, images, labels)), [texts, base.log_scale])
    plain = base(texts, images, labels)
    torch.testing.assert_close(loss(texts, images, labels)["base"], plain)
    for one, other in zip(ours, torch.autograd.grad(plain, [texts, base.log_scale]), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)
    assert [p for p in loss.parameters() if p.requires_grad] == [base.log_scale]
    assert {id(p) for p in loss.own_parameters()} == {
        id(p) for p in loss.discriminator.parameters()
    }


def test_both_modalities_count_the_same_whatever_their_number() -> None:
    texts, images = torch.tensor([-2.0]), torch.tensor([1.0, 1.0, -3.0])
    repeated = modality_loss(texts.repeat(6), images)
    torch.testing.assert_close(modality_loss(texts, images), repeated)
    assert float(modality_accuracy(texts, images)) == pytest.approx((1 + 2 / 3) / 2)
    assert float(modality_accuracy(torch.zeros(3), torch.zeros(2))) == 0.5


def test_the_gap_is_the_distance_of_centroids() -> None:
    texts, images = vectors(3, 4).detach(), vectors(4, 6).detach()
    centroids = [(side / side.norm(dim=1, keepdim=True)).mean(dim=0) for side in (texts, images)]
    expected = (centroids[0] - centroids[1]).norm()
    torch.testing.assert_close(modality_gap(texts, images), expected)


def test_spectral_norm_bounds_every_layer() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(8, hidden=16, spectral_norm=True)
    for layer in discriminator.layers:
        layer.parametrizations.weight.original.data *= 30
    for _ in range(50):
        discriminator(torch.randn(4, 8))
    for layer in discriminator.layers:
        assert float(torch.linalg.matrix_norm(layer.weight, 2).detach()) == pytest.approx(
            1, abs=0.02
        )


@pytest.mark.parametrize("betas", [(0.5, 0.999), (0.9, 0.99)])
def test_own_adam_is_torchs(betas: tuple[float, float]) -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(5, 3).double(), nn.Linear(5, 3).double()
    theirs.load_state_dict(ours.state_dict())
    start = ours.weight.detach().clone()
    own = OwnAdam(ours.parameters(), rate=1e-2, betas=betas).double()
    peer = torch.optim.Adam(theirs.parameters(), lr=1e-2, betas=betas)
    for _ in range(10):
        x = torch.randn(4, 5, dtype=torch.float64)
        own.minimize(lambda x=x: ours(x).square().sum())  # type: ignore[misc]
        peer.zero_grad()
        theirs(x).square().sum().backward()
        peer.step()
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=0, atol=1e-12)
    assert (ours.weight - start).abs().max() > 0.05
    assert all(p.grad is None and not p.requires_grad for p in ours.parameters())


def two_modalities(generator: torch.Generator, count: int) -> tuple[Tensor, Tensor]:
    """The same meaning twice, with noise, and a constant that says which modality it is."""
    meaning = torch.randn(count, 6, generator=generator)
    sides = [torch.cat([meaning, sign * torch.ones(count, 2)], dim=1) for sign in (1.0, -1.0)]
    texts, images = (s + 0.1 * torch.randn(count, 8, generator=generator) for s in sides)
    return texts, images


def trained(weight: float) -> tuple[float, float, float]:
    """Discriminator accuracy, gap and hit@1 on fresh pairs after training two linear heads."""
    steps, generator = 600, torch.Generator().manual_seed(1)
    heads = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])
    for head in heads:
        head.weight.data.copy_(torch.eye(8))
        head.bias.data.zero_()
    loss = AdversarialReversal(InfoNCE(0.01), 8, weight=weight, hidden=16)
    optimizer = torch.optim.Adam(heads.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        sides = two_modalities(generator, 64)
        loss.on_progress(step / steps)
        texts, images = (head(side) for head, side in zip(heads, sides, strict=True))
        optimizer.zero_grad()
        total(loss(texts, images, PairLabels.distinct(64))).backward()
        optimizer.step()
        schedule.step()
    sides = two_modalities(generator, 500)
    with torch.no_grad():
        texts, images = (
            functional.normalize(head(side), dim=1) for head, side in zip(heads, sides, strict=True)
        )
        told = modality_accuracy(loss.discriminator(texts), loss.discriminator(images))
    hit = (texts @ images.T).argmax(dim=1) == torch.arange(500)
    return float(told), float(modality_gap(texts, images)), float(hit.float().mean())


@pytest.mark.slow
def test_the_discriminator_loses_and_retrieval_does_not() -> None:
    told, gap, hit = trained(weight=1e-9)  # the discriminator only looks on
    assert told > 0.75
    confused, closed, kept = trained(weight=3.0)
    assert abs(confused - 0.5) < 0.15
    assert closed < 0.5 * gap
    assert hit > 0.9
    assert kept > hit - 0.01


def test_without_gradients_nothing_is_learned() -> None:
    loss = AdversarialReversal(InfoNCE(), 8, spectral_norm=False)
    before = {name: tensor.clone() for name, tensor in loss.state_dict().items()}
    texts, images = vectors(1, 5).float(), vectors(2, 5).float()
    with torch.no_grad():
        loss(texts, images, PairLabels.distinct(5))
    loss.eval()(texts, images, PairLabels.distinct(5))
    assert all(torch.equal(before[name], tensor) for name, tensor in loss.state_dict().items())
    assert loss.metrics() == {}
    loss.train()(texts, images, PairLabels.distinct(5))
    assert all(
        not torch.equal(before[name], tensor)
        for name, tensor in loss.state_dict().items()
        if name.startswith("discriminator.")
    )


def test_starting_weights_depend_on_the_seed_and_on_nothing_else() -> None:
    torch.manual_seed(1)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    one = AdversarialReversal(InfoNCE(), 8, seed=5).state_dict()
    assert torch.equal(torch.rand(1), drawn)
    torch.manual_seed(2)
    same, other = (AdversarialReversal(InfoNCE(), 8, seed=s).state_dict() for s in (5, 6))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_matryoshka_goes_inside() -> None:
    labels = PairLabels.distinct(5)
    texts, images = vectors(1, 5).float(), vectors(2, 5).float()
    inside = AdversarialReversal(Matryoshka(InfoNCE(), [8, 4]), 8)
    assert total(inside(texts, images, labels)).isfinite()
    with pytest.raises(ValueError, match="put Matryoshka inside"):
        Matryoshka(AdversarialReversal(InfoNCE(), 8), [8, 4])(texts, images, labels)


def test_nonsense_is_refused() -> None:
    for options, says in (
        ({"weight": 0.0}, "weight must be above 0"),
        ({"smoothing": 0.5}, "smoothing"),
        ({"steps": 0}, "steps"),
        ({"rate": 0.0}, "rate"),
    ):
        with pytest.raises(ValueError, match=says):
            AdversarialReversal(InfoNCE(), 8, **options)  # type: ignore[arg-type]


def test_the_layer_serves_any_shape() -> None:
    x = torch.ones(2, 3, 4, requires_grad=True)
    reverse_gradient(x, 0.5).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.full((2, 3, 4), -0.5))
