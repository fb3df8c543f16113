"""`Discriminator`: a small network that says where a vector comes from."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations


class Discriminator(nn.Module):
    r"""Two hidden layers with leaky ReLU over a vector's direction.

    .. math:: D(x) = w \cdot h_2(h_1(\sqrt{d}\, x / |x|)) + b

    The factor gives the numbers of a unit vector a variance of one, for which layers are
    initialised.

    Spectral normalisation bounds each layer's Lipschitz constant by one, so that the gradients that
    an opponent gets stay small however sure the network is. Source: Miyato et al. 2018,
    https://arxiv.org/abs/1802.05957.

    Args:
        dimension: d, numbers in a vector.
        hidden: Units per hidden layer.
        spectral_norm: Normalise every layer spectrally.

    Shapes: ``(n, d)`` to ``(n,)`` logits, positive for the class called 1.

    >>> Discriminator(8, hidden=4)(torch.randn(3, 8)).shape
    torch.Size([3])
    """

    def __init__(self, dimension: int, *, hidden: int = 256, spectral_norm: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Linear(dimension, hidden),
            nn.Linear(hidden, hidden),
            nn.Linear(hidden, 1),
        ]
        if spectral_norm:
            layers = [parametrizations.spectral_norm(layer) for layer in layers]
        self.layers = nn.ModuleList(layers)
        self.dimension = dimension

    def forward(self, vectors: Tensor) -> Tensor:
        """Judge vectors."""
        x = functional.normalize(vectors, dim=1) * math.sqrt(self.dimension)  # (n, d)
        *hidden, last = self.layers
        for layer in hidden:
            x = functional.leaky_relu(layer(x), 0.2)  # (n, hidden)
        logits: Tensor = last(x)[:, 0]  # (n,)
        return logits


def modality_loss(texts: Tensor, images: Tensor, smoothing: float = 0.0) -> Tensor:
    r"""Cross-entropy of telling pictures (1) from captions (0), both counting the same.

    .. math:: L_D = -\frac{1}{2} \Big[ \frac{1}{m} \sum_j H_{1-ε}(D(v_j))
        + \frac{1}{n} \sum_i H_{ε}(D(t_i)) \Big], \qquad
        H_y(z) = y \log σ(z) + (1 - y) \log(1 - σ(z))

    Source: Wang et al. 2017, "Adversarial Cross-Modal Retrieval" (ACMR),
    https://doi.org/10.1145/3123266.3123326, equation 3; label smoothing ε: Salimans et al. 2016,
    https://arxiv.org/abs/1606.03498, here on both sides.

    Args:
        texts: ``(n,)`` logits of captions.
        images: ``(m,)`` logits of pictures.
        smoothing: ε; the labels are ε and 1 - ε.

    >>> undecided = torch.zeros(4)
    >>> round(float(modality_loss(undecided, undecided)), 4)  # log 2
    0.6931
    """
    of_texts = functional.binary_cross_entropy_with_logits(texts, torch.full_like(texts, smoothing))
    of_images = functional.binary_cross_entropy_with_logits(
        images, torch.full_like(images, 1 - smoothing)
    )
    return (of_texts + of_images) / 2


def modality_accuracy(texts: Tensor, images: Tensor) -> Tensor:
    """Mean over the two sides of the share that is told rightly; a logit of 0 is half right.

    >>> float(modality_accuracy(torch.tensor([-1.0, -1.0]), torch.tensor([2.0, -2.0])))
    0.75
    """
    right = [
        (sign * logits).sign().add(1).div(2).mean() for sign, logits in ((-1, texts), (1, images))
    ]
    return torch.stack(right).mean()
