"""`interpolate_weights`: between the start model and the trained one, to keep old skills."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def trainable_state(model: nn.Module) -> dict[str, Tensor]:
    """Copies of what training changes, by name.

    These are the parameters that are trained, and buffers of floating type, such as the running
    means of a batch normalisation.
    """
    trained = {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}
    running = {n: buffer for n, buffer in model.named_buffers() if buffer.is_floating_point()}
    return {name: tensor.clone() for name, tensor in (trained | running).items()}


def interpolate_weights(model: nn.Module, start: Mapping[str, Tensor], weight: float) -> None:
    r"""Move a trained model's parameters towards where they started (WiSE-FT).

    .. math:: θ = (1 - w)\, θ_{start} + w\, θ_{trained}

    Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models",
    https://arxiv.org/abs/2109.01903: on the way back, skills of the start model return faster than
    those that were trained are lost.

    Args:
        model: The trained model, changed in place.
        start: Parameters and buffers of the start model by name; others are left as they are.
        weight: w, 0 for the start model, 1 for the trained one.

    >>> layer = nn.Linear(1, 1, bias=False)
    >>> _ = layer.weight.data.fill_(4.0)
    >>> interpolate_weights(layer, {"weight": torch.zeros(1, 1)}, 0.25)
    >>> float(layer.weight.detach())
    1.0
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"weight must be from 0 to 1, not {weight}")
    targets = dict(model.named_parameters()) | dict(model.named_buffers())
    with torch.no_grad():
        for name, origin in start.items():
            target = targets[name]
            target.lerp_(origin.to(target), 1 - weight)
