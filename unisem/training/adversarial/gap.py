"""`modality_gap`: how far apart captions and pictures lie as wholes."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def modality_gap(texts: Tensor, images: Tensor) -> Tensor:
    r"""Distance of the centroids of unit vectors.

    .. math:: \Big| \frac{1}{n} \sum_i \frac{t_i}{|t_i|} -
        \frac{1}{m} \sum_j \frac{v_j}{|v_j|} \Big|

    Source: Liang et al. 2022, "Mind the Gap", https://arxiv.org/abs/2203.02053, section 2.

    Args:
        texts: ``(n, d)``.
        images: ``(m, d)``.

    >>> import torch
    >>> texts, images = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 3.0]])
    >>> round(float(modality_gap(texts, images)), 4)
    1.4142
    """
    centroids = [functional.normalize(side, dim=1).mean(dim=0) for side in (texts, images)]
    return (centroids[0] - centroids[1]).square().sum().sqrt()
