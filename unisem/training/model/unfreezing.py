"""Gradual unfreezing: last layers first, so that early layers keep what they know for longer."""

from __future__ import annotations

import re
from typing import Any

from torch import nn
from transformers import TrainerCallback

_LAYER = re.compile(r"^(.*?\b(?:layers?|blocks|stages|h)\.\d+)\.")


class GradualUnfreezing(TrainerCallback):  # type: ignore[misc]
    """Makes one more layer of each network trainable every so many epochs.

    Heads, and what comes after the last layer, are trained from the start; embeddings join last.

    Source: Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification"
    (ULMFiT), https://arxiv.org/abs/1801.06146, section 3.3.

    Args:
        model: A ``SentenceTransformer`` whose other parts are frozen already.
        every: Epochs between two layers.
    """

    def __init__(self, model: nn.Module, every: float) -> None:
        if not every > 0:
            raise ValueError(f"every must be above 0 epochs, not {every}")
        self._every = every
        self.stages = unfreezing_stages(model)

    def on_train_begin(self, args: Any, state: Any, control: Any, **options: Any) -> None:
        """Freeze all layers; the optimiser knows them already."""
        self._apply(state.epoch or 0.0)

    def on_step_begin(self, args: Any, state: Any, control: Any, **options: Any) -> None:
        """Unfreeze what is due."""
        self._apply(state.epoch or 0.0)

    def _apply(self, epoch: float) -> None:
        due = int(epoch / self._every + 1e-9)
        for number, stage in enumerate(self.stages):
            for parameter in stage:
                parameter.requires_grad_(number < due)


def network_layers(model: nn.Module) -> list[nn.Module]:
    """The layers of the networks, in their order; those inside of another layer are left out."""
    names = [match[1] for name, _ in model.named_parameters() if (match := _LAYER.match(name))]
    return [model.get_submodule(name) for name in dict.fromkeys(names)]


def unfreezing_stages(model: nn.Module) -> list[list[nn.Parameter]]:
    """Trainable parameters of the networks in the order in which they are unfrozen.

    The last layers of all networks come first, then the ones before, and what has no layer (the
    embeddings) last.
    """
    stages: dict[int, list[nn.Parameter]] = {}
    last: list[nn.Parameter] = []
    for module in model.modules():
        inner = getattr(module, "auto_model", None)
        if inner is None:
            continue
        layers: dict[str, list[nn.Parameter]] = {}
        for name, parameter in inner.named_parameters():
            if not parameter.requires_grad:
                continue
            match = _LAYER.match(name)
            if match:
                layers.setdefault(match[1], []).append(parameter)
            elif "embed" in name:
                last.append(parameter)
        by_stack: dict[str, list[str]] = {}
        for layer in layers:
            by_stack.setdefault(layer.rpartition(".")[0], []).append(layer)
        for stack in by_stack.values():
            for depth, layer in enumerate(reversed(stack)):
                stages.setdefault(depth, []).extend(layers[layer])
    ordered = [stages[depth] for depth in sorted(stages)]
    return [*ordered, last] if last else ordered
