"""`InfoNCE`: the right picture among all pictures of the batch, and the right caption likewise."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from unisem.training.losses.base import PairLabels, PairLoss

Direction = Literal["text_to_image", "image_to_text"]
_MAX_SCALE = 100.0  # CLIP, section 2.5: larger logit scales made training unstable


class InfoNCE(PairLoss):
    r"""Symmetric InfoNCE, CLIP's loss, with false negatives masked.

    With unit vectors t_i, v_j and the temperature τ, text to image is

    .. math:: L = -\frac{1}{n} \sum_i \log
        \frac{\exp(t_i \cdot v_i / τ)}{\sum_{j \in N(i)} \exp(t_i \cdot v_j / τ)}

    where N(i) is i itself and every j that is no false negative of i: not the same picture, not the
    same caption, and, with ``mask_above``, no caption of the batch whose cosine with caption i is
    at least that (hard negatives come without their captions, so they are not compared). Image to
    text is the same with the sides exchanged, over the n captions. The loss is the mean over the
    directions.

    Where nothing is masked and the temperature is fixed, this is sentence-transformers'
    ``MultipleNegativesRankingLoss(directions=("query_to_doc", "doc_to_query"),
    partition_mode="per_direction")``, which has neither masks nor a learned temperature.

    Sources: van den Oord et al. 2018, "Representation Learning with Contrastive Predictive Coding",
    https://arxiv.org/abs/1807.03748; Radford et al. 2021, "Learning Transferable Visual Models From
    Natural Language Supervision" (CLIP), https://arxiv.org/abs/2103.00020.

    Args:
        temperature: τ, at the start if it is learned.
        learned: Train ``log(1/τ)``, at most ``log(100)``, with the model.
        mask_above: Cosine from which two captions are held to say the same. Sensible where the
            captions' vectors mean something from the start, above all with a frozen text tower.
        directions: One or both.

    Shapes: ``texts (n, d)``, ``images (m, d)`` with hard negatives from row n on, loss ``()``.

    >>> _ = torch.manual_seed(0)
    >>> texts, images = torch.randn(4, 8), torch.randn(4, 8)
    >>> loss = InfoNCE(temperature=0.1)
    >>> labels = PairLabels.distinct(4)
    >>> bool(loss(texts, texts, labels) < loss(texts, images, labels))
    True
    """

    def __init__(
        self,
        temperature: float = 0.07,
        *,
        learned: bool = False,
        mask_above: float | None = None,
        directions: tuple[Direction, ...] = ("text_to_image", "image_to_text"),
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, not {temperature}")
        if not directions or not set(directions) <= {"text_to_image", "image_to_text"}:
            raise ValueError(
                f"directions must be text_to_image, image_to_text or both: {directions}"
            )
        self.log_scale = nn.Parameter(
            torch.tensor(math.log(1 / temperature)), requires_grad=learned
        )
        self.mask_above = mask_above
        self.directions = directions

    @property
    def temperature(self) -> float:
        """The temperature now."""
        return 1 / float(self._scale().detach())

    def on_progress(self, share: float) -> None:
        """Bring a learned scale that went over its limit back to it, as CLIP does.

        Beyond the limit it would have no gradient, and never return.
        """
        with torch.no_grad():
            if self.log_scale.requires_grad:
                self.log_scale.clamp_(max=math.log(_MAX_SCALE))

    def forward(self, texts: Tensor, images: Tensor, labels: PairLabels) -> Tensor:
        """Compute the loss; see `PairLoss.forward`."""
        rows = len(texts)
        texts, images = functional.normalize(texts, dim=-1), functional.normalize(images, dim=-1)
        logits = self.similarities(self._scale() * texts, images)  # (n, m)
        close = torch.zeros(rows, rows, dtype=torch.bool, device=texts.device)
        if self.mask_above is not None:
            close = (texts @ texts.T).detach() >= self.mask_above
        parts = []
        if "text_to_image" in self.directions:
            masked = labels.matches(rows)  # (n, m)
            masked[:, :rows] |= close
            parts.append(_right_of(logits, masked))
        if "image_to_text" in self.directions:
            parts.append(_right_of(logits[:, :rows].T, labels.image_matches(rows) | close))
        return torch.stack(parts).mean()

    def similarities(self, texts: Tensor, images: Tensor) -> Tensor:
        """``(n, m)`` how alike captions and pictures are: the dot products of their vectors."""
        return texts @ images.T

    def _scale(self) -> Tensor:
        if not self.log_scale.requires_grad:
            return self.log_scale.exp()
        return self.log_scale.clamp(max=math.log(_MAX_SCALE)).exp()


def _right_of(logits: Tensor, masked: Tensor) -> Tensor:
    """Cross entropy of the right ones, on the diagonal, among all that are not masked."""
    positions = torch.arange(len(logits), device=logits.device)
    masked[positions, positions] = False
    return functional.cross_entropy(logits.masked_fill(masked, -torch.inf), positions)
