"""`Guided`: another loss whose false negatives a second encoder, the guide, points out."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional

from unisem.training.losses.base import PairLabels, PairLoss


class Guided(PairLoss):
    r"""Another loss, without the negatives that a guide finds more alike than the positive.

    With the guide's cosines g of caption i and picture j, and the inner loss's negatives N(i) of
    caption i, the inner loss has

    .. math:: N'(i) = \{\, j \in N(i) : g_{ij} \le g_{ii} \,\}

    and for picture j likewise the captions i with :math:`g_{ij} \le g_{jj}`. Mined negatives are
    judged as others are. A `Sigmoid`, which judges each pair once, passes over what either rule
    leaves out.

    With `InfoNCE` in one direction this is sentence-transformers' ``GISTEmbedLoss`` with
    ``contrast_anchors=False, contrast_positives=False``. The paper's loss also pushes captions from
    captions and pictures from pictures; between two modalities, whose own kind is always nearer,
    that would be another task, and it is left out.

    Source: Solatorio 2024, "GISTEmbed: Guided In-sample Selection of Training Negatives for Text
    Embedding Fine-tuning", https://arxiv.org/abs/2402.16829.

    Args:
        loss: The inner loss, which asks `PairLabels` who belongs to whom.
        texts: ``(c, g)`` the guide's vectors of captions; the row is the caption's id.
        images: ``(p, g)`` the guide's vectors of pictures; the row is the picture's id.

    Shapes: as the inner loss.

    >>> import torch
    >>> from unisem.training.losses import InfoNCE
    >>> _ = torch.manual_seed(0)
    >>> texts, images = torch.randn(4, 8), torch.randn(4, 8)
    >>> labels = PairLabels.distinct(4)
    >>> blind = Guided(InfoNCE(), torch.eye(4), torch.eye(4))  # sees no false negative
    >>> bool(blind(texts, images, labels) == InfoNCE()(texts, images, labels))
    True
    """

    def __init__(self, loss: PairLoss, texts: Tensor, images: Tensor) -> None:
        super().__init__()
        if texts.dim() != 2 or texts.shape[1:] != images.shape[1:]:
            raise ValueError(
                f"the guide's vectors must be two matrices of one width, not of the shapes "
                f"{tuple(texts.shape)} and {tuple(images.shape)}"
            )
        self.loss = loss
        # Known from data that do not change: no part of a checkpoint.
        self.register_buffer("_texts", functional.normalize(texts, dim=1), persistent=False)
        self.register_buffer("_images", functional.normalize(images, dim=1), persistent=False)

    def forward(
        self, texts: Tensor, images: Tensor, labels: PairLabels
    ) -> Tensor | dict[str, Tensor]:
        """Compute the inner loss; see `PairLoss.forward`."""
        known = self.get_buffer("_texts")[labels.captions[: len(texts)]]
        guide = known @ self.get_buffer("_images")[labels.images].T
        result: Tensor | dict[str, Tensor] = self.loss(texts, images, labels._replace(guide=guide))
        return result

    def on_progress(self, share: float) -> None:
        """Pass the share on to the inner loss."""
        self.loss.on_progress(share)

    def own_parameters(self) -> Iterator[nn.Parameter]:
        """The inner loss's."""
        return self.loss.own_parameters()

    def metrics(self) -> dict[str, float]:
        """The inner loss's."""
        return self.loss.metrics()
