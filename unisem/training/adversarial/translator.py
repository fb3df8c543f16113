"""`Translator`: a caption's vector in, the vector of the picture it could be of out; or back."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional


class Translator(nn.Module):
    r"""A residual network between the two modalities of one space.

    .. math:: G(x) = \frac{y}{|y|}, \qquad
        y = \hat x + \frac{1}{\sqrt d} W_2 \operatorname{gelu}(W_1 \sqrt d\, \hat x + b_1) + b_2,
        \qquad \hat x = x / |x|

    with W₂ and b₂ zero at the start: in a space that text and pictures share already, the first
    guess is that nothing needs to be translated.

    Args:
        dimension: d, numbers in a vector.
        hidden: Units of the hidden layer.

    Shapes: ``(n, d)`` to ``(n, d)`` unit vectors.

    >>> import torch
    >>> x = torch.tensor([[3.0, 4.0]])
    >>> [round(number, 4) for number in Translator(2)(x)[0].tolist()]
    [0.6, 0.8]
    """

    def __init__(self, dimension: int, *, hidden: int = 256) -> None:
        super().__init__()
        self.inner = nn.Linear(dimension, hidden)
        self.outer = nn.Linear(hidden, dimension)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)
        self.scale = math.sqrt(dimension)

    def forward(self, vectors: Tensor) -> Tensor:
        """Translate vectors."""
        x = functional.normalize(vectors, dim=1)  # (n, d)
        hidden = functional.gelu(self.inner(x * self.scale))  # (n, hidden)
        return functional.normalize(x + self.outer(hidden) / self.scale, dim=1)


def cycle_loss(texts: Tensor, images: Tensor, there: nn.Module, back: nn.Module) -> Tensor:
    r"""What is lost on the way there and back.

    .. math:: L_{cyc} = \frac{1}{n} \sum_i |F(G(t_i)) - \hat t_i|^2
        + \frac{1}{m} \sum_j |G(F(v_j)) - \hat v_j|^2

    On unit vectors a squared distance is 2 - 2 cos, what retrieval goes by; CycleGAN, on pixels,
    takes the sum of absolute differences.

    Source: Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
    Networks" (CycleGAN), https://arxiv.org/abs/1703.10593, equation 2.

    Args:
        texts: ``(n, d)``.
        images: ``(m, d)``.
        there: G, text to image.
        back: F, image to text.

    >>> import torch
    >>> vectors = torch.eye(3)
    >>> float(cycle_loss(vectors, vectors, nn.Identity(), nn.Identity()))
    0.0
    """
    lost = squared_distance(back(there(texts)), texts)
    return lost + squared_distance(there(back(images)), images)


def squared_distance(one: Tensor, other: Tensor) -> Tensor:
    """Mean over rows of the squared distance of ``(n, d)`` unit vectors."""
    difference = functional.normalize(one, dim=1) - functional.normalize(other, dim=1)
    return difference.square().sum(dim=1).mean()
