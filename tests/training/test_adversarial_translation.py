"""Translators, their judges and the watch over collapse, each against its formula."""

from __future__ import annotations

import copy
import math
import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from unisem.training.adversarial import (
    AdversarialReversal,
    AdversarialTranslation,
    ModeCollapseWarning,
    Translator,
)
from unisem.training.adversarial.collapse import CollapseWatch, diversity_share
from unisem.training.adversarial.translator import cycle_loss
from unisem.training.losses import InfoNCE, PairLabels
from unisem.training.losses.base import total


def vectors(seed: int, rows: int, size: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, size, generator=generator, dtype=torch.float64).requires_grad_()


def moved(module: nn.Module, seed: int) -> nn.Module:
    """The module with other weights, so that nothing is zero because it started so."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data += 0.3 * noise.to(parameter)
    return module


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=1, keepdim=True)


def test_a_translator_is_its_formula_and_starts_as_the_identity() -> None:
    x = vectors(0, 5).detach()
    translator = Translator(8, hidden=4).double()
    torch.testing.assert_close(translator(x), unit(x))
    moved(translator, 1)
    inner, outer = translator.inner, translator.outer
    hidden = functional.gelu(math.sqrt(8) * unit(x) @ inner.weight.T + inner.bias)
    y = unit(x) + (hidden @ outer.weight.T + outer.bias) / math.sqrt(8)
    torch.testing.assert_close(translator(x), unit(y))
    assert (translator(x) - unit(x)).abs().max() > 0.05


def test_the_cycle_loss_is_its_formula() -> None:
    texts, images = vectors(1, 4), vectors(2, 6)
    there, back = (moved(Translator(8, hidden=4).double(), seed) for seed in (1, 2))
    expected = torch.zeros((), dtype=torch.float64)
    for side, first, second in ((texts, there, back), (images, back, there)):
        for row in side:
            lost = second(first(row[None]))[0] - row / row.norm()
            expected = expected + lost @ lost / len(side)
    ours = cycle_loss(texts, images, there, back)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)
    assert ours > 1e-3
    for one, other in zip(
        torch.autograd.grad(ours, [texts, images], retain_graph=True),
        torch.autograd.grad(expected, [texts, images]),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
    rotation = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))[0]
    turn, turn_back = nn.Linear(8, 8, bias=False).double(), nn.Linear(8, 8, bias=False).double()
    turn.weight.data, turn_back.weight.data = rotation, rotation.T
    torch.testing.assert_close(
        cycle_loss(texts, images, turn, turn_back).detach(), torch.zeros((), dtype=torch.float64)
    )


def made(**options: float) -> AdversarialTranslation:
    loss = AdversarialTranslation(InfoNCE(0.1), 8, hidden=6, **options).double()  # type: ignore
    for number, part in enumerate((loss.to_image, loss.to_text, loss.judge_image, loss.judge_text)):
        moved(part, number)
    return loss


def test_one_batch_is_the_algorithm_written_out() -> None:
    """Judges down L_D with R1, translators down L_G against the new judges, then the model's L."""
    options = {"adversarial_weight": 0.3, "cycle_weight": 0.7, "pair_weight": 0.2, "penalty": 2.0}
    loss = made(**options)
    g, f, d_i, d_t = (
        copy.deepcopy(part).requires_grad_()
        for part in (loss.to_image, loss.to_text, loss.judge_image, loss.judge_text)
    )
    judges = torch.optim.Adam([*d_i.parameters(), *d_t.parameters()], lr=4e-4, betas=(0.5, 0.999))
    makers = torch.optim.Adam([*g.parameters(), *f.parameters()], lr=1e-4, betas=(0.5, 0.999))
    texts, images = vectors(1, 5), vectors(2, 7)
    t, v = texts.detach(), images.detach()

    judged = torch.zeros((), dtype=torch.float64)
    for judge, real, fake in ((d_i, v, g(t)), (d_t, t, f(v))):
        real = unit(real).requires_grad_()
        says = torch.sigmoid(judge(real))
        judged = judged - says.log().mean() - (1 - torch.sigmoid(judge(fake.detach()))).log().mean()
        for row in range(len(real)):
            (slope,) = torch.autograd.grad(judge(real)[row], real, create_graph=True)
            judged = judged + 2.0 / 2 * slope[row] @ slope[row] / len(real)
    judges.zero_grad()
    judged.backward()
    judges.step()

    def generators(t: Tensor, v: Tensor) -> list[Tensor]:
        fooled = -torch.sigmoid(d_i(g(t))).log().mean() - torch.sigmoid(d_t(f(v))).log().mean()
        cycle = (f(g(t)) - unit(t)).square().sum(1).mean()
        cycle = cycle + (g(f(v)) - unit(v)).square().sum(1).mean()
        met = (g(t) - unit(v[:5])).square().sum(1).mean()
        met = met + (f(v[:5]) - unit(t)).square().sum(1).mean()
        return [0.3 * fooled, 0.7 * cycle, 0.2 * met]

    makers.zero_grad()
    sum(generators(t, v)).backward()  # type: ignore[union-attr]
    makers.step()

    loss.on_progress(0.1)
    parts = loss(texts, images, PairLabels.distinct(7))
    for ours, theirs in (
        (loss.to_image, g),
        (loss.to_text, f),
        (loss.judge_image, d_i),
        (loss.judge_text, d_t),
    ):
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-9)
    strength = math.tanh(0.5)
    expected = [InfoNCE(0.1).double()(texts, images, PairLabels.distinct(7))]
    expected += [strength * part for part in generators(texts, images)]
    for one, other in zip(parts.values(), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-8)
    for one, other in zip(
        torch.autograd.grad(total(parts), [texts, images]),
        torch.autograd.grad(sum(expected), [texts, images]),  # type: ignore[arg-type]
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-8)
        assert one.abs().max() > 1e-3


class Constant(nn.Module):
    """A translator that gives the same vector whatever it is given."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.ones_like(x) / math.sqrt(x.shape[1])


class TwoModes(nn.Module):
    """A translator that knows two answers."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.one_hot((x[:, 0] > 0).long(), x.shape[1]).to(x)


def test_diversity_is_that_of_the_eigenvalues() -> None:
    translated, real = vectors(1, 40).detach(), vectors(2, 40).detach()
    translated[:, 3:] *= 0.1
    shares = []
    for side in (translated, real):
        values = torch.linalg.eigvalsh(torch.cov(unit(side).T, correction=0))
        shares.append((values.sum(), values.sum() ** 2 / values.square().sum()))
    expected = min(shares[0][0] / shares[1][0], shares[0][1] / shares[1][1])
    found = diversity_share(translated, real)
    assert float(found) == pytest.approx(float(expected), abs=1e-5)
    assert 0.1 < float(found) < 0.7


@pytest.mark.parametrize("translator", [Constant(), TwoModes()])
def test_the_watch_warns_of_collapse_once_and_only_if_it_lasts(translator: nn.Module) -> None:
    watch = CollapseWatch("pictures", below=0.3, patience=3)
    healthy = nn.Identity()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for step, module in enumerate([translator, translator, healthy, translator, translator]):
            x = vectors(step, 32).detach()
            assert (float(watch(module(x), x)) < 0.3) == (module is translator)
    x = vectors(9, 32).detach()
    with pytest.warns(ModeCollapseWarning, match="mode collapse: pictures have .*cycle_weight"):
        watch(translator(x), x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watch(translator(x), x)


def test_the_watch_is_silent_where_nothing_can_be_said() -> None:
    same = torch.ones(8, 4)
    assert float(diversity_share(same, same)) == 1.0  # the real ones do not differ either
    assert float(diversity_share(torch.ones(2, 4), torch.eye(4)[:2])) == 1.0  # too few


def train(loss: AdversarialTranslation, steps: int) -> None:
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        texts = torch.randn(32, 8, generator=generator)
        images = functional.normalize(texts, dim=1) + 0.5  # a gap, and the pairs are regular
        loss.on_progress(step / steps)
        loss(texts, images, PairLabels.distinct(32))


def test_translators_learn_the_way_over_the_gap_without_collapse() -> None:
    loss = AdversarialTranslation(
        InfoNCE(), 8, hidden=32, translator_rate=3e-3, discriminator_rate=6e-3
    )
    texts = torch.randn(200, 8, generator=torch.Generator().manual_seed(5))
    images = functional.normalize(functional.normalize(texts, dim=1) + 0.5, dim=1)
    before = (loss.to_image(texts) - images).square().sum(dim=1).mean()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(loss, 150)
    after = (loss.to_image(texts) - images).square().sum(dim=1).mean()
    assert after < 0.1 * before
    metrics = loss.metrics()
    assert 0.35 < metrics["discriminator_accuracy"] < 0.65
    assert metrics["image_diversity"] > 0.8
    assert metrics["text_diversity"] > 0.5
    assert metrics["cycle"] < 0.1


def test_a_translator_that_collapses_is_reported_in_training() -> None:
    loss = AdversarialTranslation(InfoNCE(), 8, hidden=4, collapse_patience=3)
    loss.to_image.outer.bias.data.fill_(1e4)  # drowns whatever is translated
    with pytest.warns(ModeCollapseWarning, match="pictures translated from captions"):
        train(loss, 4)
    assert loss.metrics()["image_diversity"] < 0.01
    assert loss.metrics()["text_diversity"] > 0.2


@pytest.mark.parametrize("kind", [AdversarialReversal, AdversarialTranslation])
def test_what_state_dict_gives_is_all_a_resume_needs(
    kind: type[AdversarialReversal] | type[AdversarialTranslation],
) -> None:
    def step(loss: AdversarialReversal | AdversarialTranslation, number: int) -> Tensor:
        texts, images = vectors(number, 6).float(), vectors(number + 50, 6).float()
        loss.on_progress(number / 8)
        gradients = torch.autograd.grad(
            total(loss(texts, images, PairLabels.distinct(6))), _leaves(texts, images)
        )
        return torch.cat(gradients)

    whole = kind(InfoNCE(0.1, learned=True), 8)
    for number in range(4):
        step(whole, number)
    resumed = kind(InfoNCE(0.1, learned=True), 8, seed=77)
    state = {name: tensor.clone() for name, tensor in whole.state_dict().items()}
    assert all(isinstance(tensor, Tensor) for tensor in state.values())
    resumed.load_state_dict(state)
    for number in range(4, 8):
        assert torch.equal(step(whole, number), step(resumed, number))
    assert whole.metrics() == resumed.metrics()
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    forgetful = kind(InfoNCE(0.1, learned=True), 8)
    forgetful.load_state_dict(state)
    for name, tensor in forgetful.named_buffers():
        if ".first_" in name or ".second_" in name or "optimizer.first" in name:
            tensor.zero_()
    step(forgetful, 4)
    later = kind(InfoNCE(0.1, learned=True), 8)
    later.load_state_dict(state)
    step(later, 4)
    assert any(  # so the moments matter, and the equality above says something
        not torch.equal(a, b)
        for a, b in zip(forgetful.own_parameters(), later.own_parameters(), strict=True)
    )


def _leaves(*inputs: Tensor) -> list[Tensor]:
    return list(inputs)


def test_another_dimension_and_nonsense_are_refused() -> None:
    loss = AdversarialTranslation(InfoNCE(), 8)
    with pytest.raises(ValueError, match="the vectors have 6 numbers"):
        loss(torch.randn(4, 6), torch.randn(4, 6), PairLabels.distinct(4))
    for options, says in (
        ({"weight": 0.0}, "weight must be above 0"),
        ({"cycle_weight": -1.0}, "cycle_weight must not be negative"),
        ({"translator_rate": 0.0}, "rate must be above 0"),
    ):
        with pytest.raises(ValueError, match=says):
            AdversarialTranslation(InfoNCE(), 8, **options)  # type: ignore[arg-type]
