"""`Head`: from what multilingual-e5-small makes of a text to its place in `mini`'s space."""

from __future__ import annotations

import numpy as np
import torch
from onnx import TensorProto
from torch import nn
from torch.nn import functional

from tools.multilingual.graph import WIDTH, GraphWriter, pooled_layers
from unisem.encoders.multilingual.weights import Array

LAYERS = (6, 9, 12)
"""Of e5, whose outputs' means over the tokens the head is given."""
HIDDEN = 768
FILE = "head.safetensors"


class Head(nn.Module):
    """A linear map and a correction by one hidden layer; and whether the text is English.

    Args:
        seen: ``(n, len(LAYERS) * 384)`` examples of what it is given, whose means and deviations it
            takes out.
    """

    def __init__(self, seen: torch.Tensor) -> None:
        super().__init__()
        width = seen.shape[1]
        self.register_buffer("mean", seen.mean(0))
        self.register_buffer("scale", 1 / seen.std(0))
        self.straight = nn.Linear(width, WIDTH)
        self.inner = nn.Linear(width, HIDDEN)
        self.outer = nn.Linear(HIDDEN, WIDTH, bias=False)
        self.english = nn.Linear(HIDDEN, 1)
        self.drop = nn.Dropout(0.1)
        nn.init.zeros_(self.outer.weight)

    def forward(self, pooled: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``(n, 384)`` unit vectors, and ``(n,)`` logits that the texts are English."""
        given = (pooled - self.mean) * self.scale
        hidden = functional.gelu(self.inner(given))
        correction = self.outer(self.drop(hidden))
        placed = functional.normalize(self.straight(given) + correction, dim=-1)
        return placed, self.english(hidden)[:, 0]

    def tensors(self) -> dict[str, Array]:
        """Its weights in half precision, matrices as they multiply from the right."""
        held = {
            name.replace("weight", "w").replace("bias", "b"): value.detach().numpy()
            for name, value in self.state_dict().items()
        }
        return {
            name: np.ascontiguousarray(value.T if value.ndim == 2 else value).astype(np.float16)
            for name, value in held.items()
        }


def text_graph(e5: dict[str, Array], head: dict[str, Array], weights: str) -> bytes:
    """The ONNX file of the text side.

    Args:
        e5: Multilingual-e5-small's weights.
        head: The head's.
        weights: The safetensors file that holds ``e5``; those of the head are in `FILE`.

    Returns:
        A graph that gives ``unit_vector`` ``(batch, 384)`` and ``english`` ``(batch, 1)``, from 0
        to 1.
    """
    g = GraphWriter({weights: e5, FILE: head})
    pooled = pooled_layers(g, LAYERS)
    given = g.op("Mul", g.op("Sub", pooled, g.wide("mean")), g.wide("scale"))
    hidden = g.op("Gelu", g.linear(given, "inner"))
    correction = g.op("MatMul", hidden, g.wide("outer.w"))
    placed = g.op("Add", g.linear(given, "straight"), correction)
    length = g.op("ReduceL2", placed, g.ints(1), keepdims=1)
    g.output("unit_vector", g.op("Div", placed, length), TensorProto.FLOAT, WIDTH)
    english = g.op("Sigmoid", g.linear(hidden, "english"))
    g.output("english", english, TensorProto.FLOAT, 1)
    return g.written()
