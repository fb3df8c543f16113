"""LoRA: small matrices beside frozen ones, folded into them when training is done."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from unisem.errors import TrainingError


def add_lora(model: Any, rank: int, *, alpha: int | None = None, seed: int = 0) -> None:
    """Replace the training of networks by that of low-rank additions to their linear layers.

    Every linear layer with a trainable weight inside a pretrained network gets one, and the network
    is frozen; heads after the networks are trained as they are.

    Source: Hu et al. 2021, "LoRA", https://arxiv.org/abs/2106.09685; the layers are those of
    ``peft``.

    Args:
        model: A ``SentenceTransformer``, frozen as wished before.
        rank: Rank of the additions.
        alpha: Their scale is ``alpha / rank``; twice the rank if ``None``.
        seed: Decides how they begin.

    Raises:
        TrainingError: ``peft`` is not installed, or there is no such layer.
    """
    try:
        from peft import LoraConfig
    except ImportError:
        raise TrainingError("LoRA needs pip install 'unisem[train]'") from None
    if rank < 1:
        raise ValueError(f"rank must be at least 1, not {rank}")
    adapted = 0
    for inner in _networks(model):
        layers = [
            name
            for name, module in inner.named_modules()
            if isinstance(module, nn.Linear) and module.weight.requires_grad
        ]
        for parameter in inner.parameters():
            parameter.requires_grad_(False)
        if layers:
            config = LoraConfig(r=rank, lora_alpha=alpha or 2 * rank, target_modules=layers)
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                inner.add_adapter(config)
            adapted += len(layers)
    if not adapted:
        raise TrainingError(
            "LoRA found no linear layer to adapt: the networks are frozen, or have convolutions "
            "only. Freeze less (freeze none), or train without LoRA"
        )


def lora_factors(model: Any, share: float = 1.0) -> dict[str, tuple[Tensor, Tensor]]:
    """What LoRA adds to weights, as ``(A, B)`` of shape ``(rank, in)`` and ``(out, rank)``.

    Args:
        model: A ``SentenceTransformer`` with additions that are not merged yet.
        share: How far to go from the start model's weights.

    Returns:
        Factors by the weight's name in the merged model; the product B A is what is added.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    found: dict[str, tuple[Tensor, Tensor]] = {}
    for path, module in model.named_modules():
        if isinstance(module, BaseTunerLayer):
            layer: Any = module  # what each kind of them has, the base does not say
            (adapter,) = layer.active_adapters
            rates = layer.scaling[adapter] * share
            first = layer.lora_A[adapter].weight.detach().clone()
            found[f"{path}.weight"] = first, layer.lora_B[adapter].weight.detach() * rates
    return found


def merge_lora(model: Any) -> None:
    """Fold the additions into the layers and take ``peft`` out of the model again."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for inner in _networks(model):
        for name, module in list(inner.named_modules()):
            if isinstance(module, BaseTunerLayer):
                module.merge()
                inner.set_submodule(name, module.get_base_layer())
        if getattr(inner, "_hf_peft_config_loaded", False):
            inner._hf_peft_config_loaded = False
            del inner.peft_config


def _networks(model: Any) -> list[Any]:
    found = [getattr(module, "auto_model", None) for module in model.modules()]
    return list(dict.fromkeys(inner for inner in found if inner is not None))
