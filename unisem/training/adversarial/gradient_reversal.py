"""`GradientReversal`: nothing on the way forward, the opposite on the way back."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


class GradientReversal(torch.autograd.Function):
    r"""The layer that lets one backward pass serve two opponents.

    .. math:: R_λ(x) = x, \qquad \frac{∂R_λ}{∂x} = -λ I

    What stands behind the layer minimises its loss; what stands before it maximises the same loss,
    λ times as strongly.

    Source: Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks" (DANN),
    https://arxiv.org/abs/1505.07818, equations 16 and 17.

    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> y = GradientReversal.apply(x, 0.5)
    >>> y.tolist()
    [1.0, 2.0]
    >>> (3 * y).sum().backward()
    >>> x.grad.tolist()
    [-1.5, -1.5]
    """

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, strength: float) -> Tensor:
        """Return ``vectors``, any shape; ``strength`` is λ."""
        ctx.strength = strength
        return vectors.view_as(vectors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return -λ times the gradient; λ itself gets none."""
        return gradients[0] * -ctx.strength, None


def reverse_gradient(vectors: Tensor, strength: float) -> Tensor:
    """Apply `GradientReversal` to vectors of any shape; ``strength`` is λ."""
    reversed_: Tensor = GradientReversal.apply(vectors, strength)  # type: ignore[no-untyped-call]
    return reversed_


def reversal_strength(share: float, steepness: float = 10.0) -> float:
    r"""DANN's schedule: 0 while the discriminator knows nothing, then towards 1.

    .. math:: λ_p = \frac{2}{1 + e^{-γ p}} - 1

    Source: Ganin et al. 2016, section 5.2.2.

    Args:
        share: p, the share of training that is done, from 0 to 1.
        steepness: γ.

    >>> [round(reversal_strength(share), 3) for share in (0, 0.1, 0.5, 1)]
    [0.0, 0.462, 0.987, 1.0]
    """
    return 2 / (1 + math.exp(-steepness * share)) - 1
