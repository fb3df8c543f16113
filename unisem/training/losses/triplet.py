"""`Triplet`: the right picture nearer than a wrong one, by a margin."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from unisem.training.losses.base import PairLabels, PairLoss
from unisem.training.settings import Mining


def margin_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Mean of ``max(0, |a - p| - |a - n| + margin)`` over rows.

    Args:
        anchor: ``(n, d)``.
        positive: ``(n, d)``.
        negative: ``(n, d)``.
        margin: How much further the negative should be, in the unit of the vectors.
    """
    near = functional.pairwise_distance(anchor, positive)
    far = functional.pairwise_distance(anchor, negative)
    return functional.relu(near - far + margin).mean()


class Triplet(PairLoss):
    r"""Triplet loss across modalities, negatives chosen inside the batch.

    .. math:: L = \frac{1}{n} \sum_i \max(0, |t_i - v_i| - |t_i - v_{j(i)}| + α)

    on unit vectors, and the same for pictures with negative captions; the mean of both. Negatives
    of i are rows that share neither picture nor caption with it, mined hard negatives among them.

    - ``"hard"``: the nearest negative.
    - ``"semi-hard"``: the nearest negative that is further away than the positive; where there is
      none, the furthest.

    An anchor without any negative in the batch does not count. sentence-transformers' in-batch
    triplet losses mine among vectors of one column, so caption against caption too; across two
    columns there is none.

    Sources: Schroff et al. 2015, "FaceNet", https://arxiv.org/abs/1503.03832, section 3; Faghri et
    al. 2018, "VSE++", https://arxiv.org/abs/1707.05612, for hard negatives across modalities.

    Args:
        margin: α. The greatest distance of unit vectors is 2.
        mining: Which negative is taken.

    Shapes: ``texts (n, d)``, ``images (m, d)`` with hard negatives from row n on, loss ``()``.

    >>> _ = torch.manual_seed(0)
    >>> texts, images = torch.randn(4, 8), torch.randn(4, 8)
    >>> loss = Triplet(margin=0.2)
    >>> labels = PairLabels.distinct(4)
    >>> bool(loss(texts, texts, labels) < loss(texts, images, labels))
    True
    """

    def __init__(self, margin: float = 0.2, *, mining: Mining = "semi-hard") -> None:
        super().__init__()
        if not margin > 0:
            raise ValueError(f"margin must be above 0, not {margin}")
        if mining not in ("hard", "semi-hard"):
            raise ValueError(f"mining must be hard or semi-hard, not {mining!r}")
        self.margin = margin
        self.mining = mining

    def forward(self, texts: Tensor, images: Tensor, labels: PairLabels) -> Tensor:
        """Compute the loss; see `PairLoss.forward`."""
        rows = len(texts)
        texts, images = functional.normalize(texts, dim=1), functional.normalize(images, dim=1)
        to_images = self._one_way(texts, images[:rows], images, labels.matches(rows))
        to_texts = self._one_way(images[:rows], texts, texts, labels.image_matches(rows))
        return (to_images + to_texts) / 2

    def _one_way(
        self, anchors: Tensor, positives: Tensor, candidates: Tensor, matches: Tensor
    ) -> Tensor:
        with torch.no_grad():
            # Among unit vectors, the nearest has the greatest cosine.
            cosines = (anchors @ candidates.T).masked_fill(matches, -torch.inf)  # (n, m)
            chosen = cosines.argmax(dim=1)
            if self.mining == "semi-hard":
                own = (anchors * positives).sum(dim=1, keepdim=True)
                outside = cosines.masked_fill(cosines >= own, -torch.inf)
                furthest = cosines.masked_fill(matches, torch.inf).argmin(dim=1)
                found = outside.isfinite().any(dim=1)
                chosen = torch.where(found, outside.argmax(dim=1), furthest)
            counts = ~matches.all(dim=1)
        if not counts.any():
            return (anchors * 0).sum()
        return margin_loss(
            anchors[counts], positives[counts], candidates[chosen[counts]], self.margin
        )
