"""Unit vectors with a graph behind them, and losses that must agree in value and gradient."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def unit(seed: int, rows: int = 6, size: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(rows, size, generator=generator, dtype=torch.float64)
    return functional.normalize(vectors.requires_grad_(), dim=1)


def gradients(loss: Tensor, *inputs: Tensor) -> list[Tensor]:
    """Gradients of what the unit vectors were made from; a loss may normalise once more."""
    raw = [vectors.grad_fn.next_functions[0][0].variable for vectors in inputs]  # type: ignore
    return list(torch.autograd.grad(loss, raw, retain_graph=True))


def assert_same(ours: Tensor, theirs: Tensor, *inputs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    for one, other in zip(gradients(ours, *inputs), gradients(theirs, *inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
        assert one.abs().max() > 1e-4  # equal because both are zero would prove nothing
