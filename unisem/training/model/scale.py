"""`Scale`: the logit scale and bias that a contrastive model was trained with, read and written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unisem.training.losses import PairLoss


@dataclass(frozen=True, slots=True)
class Scale:
    """What a model's cosines are multiplied by before a loss sees them, and what is added.

    Attributes:
        factor: The inverse temperature; 100 for OpenAI's CLIP.
        bias: SigLIP's; ``None`` for a model that was trained with a softmax.
    """

    factor: float
    bias: float | None = None

    @classmethod
    def of(cls, model: Any) -> Scale | None:
        """The scale in a ``SentenceTransformer``'s network; ``None`` if it has none."""
        network = _network(model)
        if network is None:
            return None
        bias = getattr(network, "logit_bias", None)
        return cls(
            math.exp(float(network.logit_scale.detach())),
            None if bias is None else float(bias.detach()),
        )

    @classmethod
    def of_loss(cls, loss: PairLoss) -> Scale | None:
        """The scale that a loss has now, itself or within; ``None`` if it has none."""
        from unisem.training.losses import InfoNCE, Sigmoid

        for part in loss.modules():
            if isinstance(part, InfoNCE):
                return cls(1 / part.temperature)
            if isinstance(part, Sigmoid):
                return cls(math.exp(float(part.log_scale.detach())), float(part.bias.detach()))
        return None

    @classmethod
    def learned_by(cls, loss: PairLoss) -> Scale | None:
        """The scale that a loss has learned, itself or within; ``None`` if it learns none."""
        from unisem.training.losses import InfoNCE, Sigmoid

        for part in loss.modules():
            if isinstance(part, InfoNCE | Sigmoid) and part.log_scale.requires_grad:
                return cls.of_loss(part)
        return None

    def write(self, model: Any, share: float = 1.0) -> None:
        """Keep this scale in a model's network, if that has a place for it.

        Args:
            model: A ``SentenceTransformer``.
            share: How far to go from the model's own values.
        """
        network = _network(model)
        if network is None:
            return
        _move(network.logit_scale, math.log(self.factor), share)
        bias = getattr(network, "logit_bias", None)
        if bias is not None and self.bias is not None:
            _move(bias, self.bias, share)


def _network(model: Any) -> Any:
    for module in model.modules():
        inner = getattr(module, "auto_model", None)
        scale = getattr(inner, "logit_scale", None)
        if scale is not None and scale.numel() == 1:
            return inner
    return None


def _move(parameter: Any, value: float, share: float) -> None:
    parameter.data.lerp_(parameter.data.new_full(parameter.shape, value), share)
