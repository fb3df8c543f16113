"""Cached gradients against the plain loss: same value, same gradients, dropout and all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from unisem.training.losses import (
    CachedLoss,
    EmbeddingLoss,
    InfoNCE,
    Matryoshka,
    PairLabels,
    PairLoss,
    Sigmoid,
    Triplet,
)
from unisem.training.losses.base import total


class Towers(nn.Module):
    """Two small towers; a column's features say which one is meant."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.towers = nn.ModuleDict(
            {
                side: nn.Sequential(
                    nn.Linear(5, 9), nn.Tanh(), nn.Dropout(dropout), nn.Linear(9, 6)
                )
                for side in ("text", "image")
            }
        )

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        side = "text" if "input_ids" in features else "image"
        inputs = features["input_ids" if side == "text" else "pixel_values"]
        return {"sentence_embedding": self.towers[side](inputs)}


LOSSES: dict[str, Callable[[], PairLoss]] = {
    "info_nce": lambda: InfoNCE(0.1, learned=True, mask_above=0.9),
    "sigmoid": lambda: Sigmoid(5, -2),
    "triplet": lambda: Triplet(0.5, mining="hard"),
    "matryoshka": lambda: Matryoshka(InfoNCE(0.1, learned=True), [6, 3], [1, 2]),
}


def batch() -> tuple[list[dict[str, Tensor]], Tensor]:
    generator = torch.Generator().manual_seed(1)
    texts = torch.randn(7, 5, generator=generator)
    images = torch.randn(9, 5, generator=generator)  # two hard negatives
    labels = torch.stack([torch.tensor([0, 1, 2, 0, 4, 5, 6, 7, 1]), torch.arange(9)], dim=1)
    return [{"input_ids": texts}, {"pixel_values": images}], labels


def gradients(loss: nn.Module, scale: float) -> tuple[float, dict[str, Tensor]]:
    features, labels = batch()
    for parameter in loss.parameters():
        parameter.grad = None
    value = loss(features, labels)
    (value * scale).backward()
    found = {n: p.grad.clone() for n, p in loss.named_parameters() if p.grad is not None}
    return float(value.detach()), found


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [1, 3, 7, 32])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_cached_is_plain(name: str, size: int, scale: float) -> None:
    model = Towers()
    plain_value, plain = gradients(EmbeddingLoss(model, LOSSES[name]()), scale)
    cached = CachedLoss(model, LOSSES[name](), mini_batch_size=size)
    cached_value, ours = gradients(cached, scale)
    assert cached_value == pytest.approx(plain_value, abs=1e-5)
    assert ours.keys() == plain.keys()
    assert any(gradient.abs().max() > 1e-3 for gradient in ours.values())
    for parameter, gradient in plain.items():
        torch.testing.assert_close(ours[parameter], gradient, rtol=0, atol=1e-5)


def test_parts_of_a_loss_keep_their_names_and_gradients() -> None:
    class Parts(PairLoss):
        def forward(self, texts: Tensor, images: Tensor, labels: PairLabels) -> dict[str, Tensor]:
            inner = InfoNCE(0.1)
            return {"near": inner(texts, images, labels), "small": texts.square().mean()}

    model = Towers()
    features, labels = batch()
    plain = EmbeddingLoss(model, Parts())(features, labels)
    assert isinstance(plain, dict)
    total(plain).backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    cached = CachedLoss(model, Parts(), mini_batch_size=2)(features, labels)
    assert isinstance(cached, dict)
    values = {name: float(part.detach()) for name, part in plain.items()}
    assert {n: float(part.detach()) for n, part in cached.items()} == pytest.approx(values, 1e-5)
    total(cached).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=0, atol=1e-5)


def test_dropout_draws_the_same_masks_both_times() -> None:
    # One part per column, so that plain and cached draw in the same order.
    model = Towers(dropout=0.5)
    torch.manual_seed(3)
    plain_value, plain = gradients(EmbeddingLoss(model, InfoNCE()), 1.0)
    torch.manual_seed(3)
    cached_value, ours = gradients(CachedLoss(model, InfoNCE(), mini_batch_size=9), 1.0)
    assert cached_value == pytest.approx(plain_value, abs=1e-5)
    for parameter, gradient in plain.items():
        torch.testing.assert_close(ours[parameter], gradient, rtol=0, atol=1e-5)


def test_gradients_accumulate_over_batches() -> None:
    model = Towers()
    plain = EmbeddingLoss(model, InfoNCE(0.1, learned=True))
    cached = CachedLoss(model, InfoNCE(0.1, learned=True), mini_batch_size=2)
    features, labels = batch()
    collected = []
    for loss in (plain, cached):
        for parameter in loss.parameters():
            parameter.grad = None
        for _ in range(3):
            (loss(features, labels) / 3).backward()
        collected.append({n: p.grad for n, p in loss.named_parameters() if p.grad is not None})
    for name, gradient in collected[0].items():
        torch.testing.assert_close(collected[1][name], gradient, rtol=0, atol=1e-5)


def test_nothing_is_driven_back_without_gradients() -> None:
    cached = CachedLoss(Towers(), InfoNCE(), mini_batch_size=2)
    with torch.no_grad():
        value = cached(*batch())
    assert value.isfinite()
    assert all(parameter.grad is None for parameter in cached.parameters())


def test_a_mini_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="mini_batch_size"):
        CachedLoss(Towers(), InfoNCE(), mini_batch_size=0)
