"""`LateInteraction`: InfoNCE over vectors for every token, compared by MaxSim."""

from __future__ import annotations

import torch
from torch import Tensor

from unisem.training.losses.info_nce import InfoNCE


class LateInteraction(InfoNCE):
    r"""`InfoNCE` in which a query and a document are as alike as MaxSim says, not as their cosine.

    With a query's unit vectors :math:`q_1 … q_t` and a document's :math:`d_1 … d_p`

    .. math:: s(q, d) = \frac{1}{t} \sum_i \max_j q_i \cdot d_j

    stands where `InfoNCE` has a cosine: for each token of the query the nearest of the document's,
    on average, so that long queries are no bolder than short ones. In both directions it is the
    query's tokens that look for the document's. All products of a batch are in memory at once:
    ``n · m · t · p`` numbers.

    Source: Khattab and Zaharia 2020, "ColBERT", https://arxiv.org/abs/2004.12832, section 3.3;
    Faysse et al. 2024, "ColPali", https://arxiv.org/abs/2407.01449, section 4.

    Args:
        temperature: As of `InfoNCE`.
        learned: As of `InfoNCE`.

    Shapes: ``texts (n, t, w)``, ``images (m, p, w)`` with hard negatives from row n on, loss
    ``()``. A vector of zeros is no token, and pads.

    >>> from unisem.training.losses import PairLabels
    >>> _ = torch.manual_seed(0)
    >>> words, places = torch.randn(4, 3, 8), torch.randn(4, 5, 8)
    >>> loss, labels = LateInteraction(temperature=0.1), PairLabels.distinct(4)
    >>> bool(loss(words, words, labels) < loss(words, places, labels))
    True
    >>> padded = torch.cat([places, torch.zeros(4, 2, 8)], dim=1)
    >>> bool(torch.isclose(loss(words, places, labels), loss(words, padded, labels)))
    True
    """

    def __init__(self, temperature: float = 0.07, *, learned: bool = False) -> None:
        super().__init__(temperature, learned=learned)

    def similarities(self, texts: Tensor, images: Tensor) -> Tensor:
        """``(n, m)`` mean over a query's tokens of MaxSim; see `InfoNCE.similarities`."""
        asked, shown = ((vectors != 0).any(-1) for vectors in (texts, images))  # (n, t), (m, p)
        products = torch.einsum("ntw,mpw->nmtp", texts, images)
        best = products.masked_fill(~shown[None, :, None], -torch.inf).amax(-1)  # (n, m, t)
        best = best.masked_fill(~asked[:, None], 0.0)
        return best.sum(-1) / asked.sum(1).clamp(min=1)[:, None]
