"""`gradient_checkpointing`: a network's activations computed again instead of kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from unisem.errors import TrainingError


@contextmanager
def gradient_checkpointing(model: Any, wanted: bool = True) -> Iterator[None]:
    """Inside, the layers of networks that are trained keep their inputs only.

    What is between is computed once more on the way back, dropout with the same numbers, so that
    gradients are the same. It is torch's form without reentry: that needs no gradient at a
    network's input, so that it works where only LoRA's additions are trained.

    Source: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost",
    https://arxiv.org/abs/1604.06174.

    Args:
        model: A ``SentenceTransformer`` or a view of one, frozen as it will be trained.
        wanted: Whether to; else nothing happens.

    Raises:
        TrainingError: No network is trained, or one cannot do without its activations.
    """
    networks = _trained_networks(model) if wanted else []
    if wanted and not networks:
        raise TrainingError(
            "gradient_checkpointing would do nothing, since no network is trained; leave it out, "
            "or freeze less (freeze none)"
        )
    for network in networks:
        if not network.supports_gradient_checkpointing:
            raise TrainingError(
                f"{type(network).__name__} cannot do with gradient_checkpointing; freeze it, or "
                "leave that out and embed fewer inputs at a time (mini_batch_size)"
            )
    try:
        for network in networks:
            network.activation_checkpointing_enable({"use_reentrant": False})
        yield
    finally:
        for network in networks:
            network.activation_checkpointing_disable()


def _trained_networks(model: Any) -> list[Any]:
    found = (getattr(module, "auto_model", None) for module in model.modules())
    return [
        network
        for network in dict.fromkeys(one for one in found if one is not None)
        if any(parameter.requires_grad for parameter in network.parameters())
    ]
