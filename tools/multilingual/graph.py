"""`text_graph`: multilingual-e5-small with a head as an ONNX graph, its weights left out.

Written operator by operator: the table of words stays at four bits, and only the rows that a text
wants are made wide, which no tracer would do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from unisem.encoders.multilingual.weights import Array

LAYERS, WIDTH, HEADS = 12, 384, 12
OPSET = 20
_KINDS = {np.dtype("u1"): TensorProto.UINT8, np.dtype("f2"): TensorProto.FLOAT16}


class GraphWriter:
    """Operators of a graph, one after the other.

    Args:
        files: Weights by name, by the safetensors file that holds them, relative to the model; of
            those that are used the graph has shape and kind.
    """

    def __init__(self, files: dict[str, dict[str, Array]]) -> None:
        self._places = {name: file for file, tensors in files.items() for name in tensors}
        self._tensors = {name: tensors[name] for tensors in files.values() for name in tensors}
        self._nodes: list[Any] = []
        self._outputs: list[Any] = []
        self._outside: dict[str, Any] = {}
        self._inside: list[Any] = []

    @property
    def outside(self) -> list[str]:
        """The weights that are left out: file and name of each."""
        return list(self._outside)

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator; the name of what it gives."""
        name = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def weight(self, name: str) -> str:
        """A weight that stays in its file."""
        place = f"{self._places[name]}:{name}"
        values = self._tensors[name]
        tensor = TensorProto(
            name=place,
            dims=values.shape,
            data_type=_KINDS.get(values.dtype, TensorProto.FLOAT),
            data_location=TensorProto.EXTERNAL,
        )
        tensor.external_data.add(key="location", value=self._places[name])
        self._outside[place] = tensor
        return place

    def wide(self, name: str) -> str:
        """A weight, in float32 if its file has half of that."""
        place = self.weight(name)
        narrow = self._tensors[name].dtype == np.float16
        return self.op("Cast", place, to=TensorProto.FLOAT) if narrow else place

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        """Numbers that stand in the graph."""
        name = f"constant_{len(self._inside)}"
        self._inside.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def ints(self, *values: int) -> str:
        """Whole numbers that stand in the graph."""
        return self.constant(values, np.int64)

    def linear(self, x: str, name: str) -> str:
        """``x @ name.w + name.b``."""
        product = self.op("MatMul", x, self.wide(f"{name}.w"))
        return self.op("Add", product, self.wide(f"{name}.b"))

    def norm(self, x: str, name: str) -> str:
        """A layer norm."""
        weights = self.wide(f"{name}.w"), self.wide(f"{name}.b")
        return self.op("LayerNormalization", x, *weights, axis=-1, epsilon=1e-12)

    def output(self, name: str, value: str, kind: int, width: int) -> None:
        """Give something to whoever runs the graph."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, kind, ["batch", width]))

    def written(self) -> bytes:
        """The file."""
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
            for name in ("input_ids", "attention_mask")
        ]
        weights = [*self._inside, *self._outside.values()]
        graph = helper.make_graph(self._nodes, "text", inputs, self._outputs, weights)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        model.producer_name = ""
        return bytes(model.SerializeToString(deterministic=True))


def pooled_layers(writer: GraphWriter, layers: Sequence[int]) -> str:
    """Means over a text's tokens, of the outputs of some layers: ``(batch, len(layers) * 384)``.

    Args:
        writer: The graph.
        layers: Ascending; 0 is the table of words.
    """
    g = writer
    x = _embedded(g)
    mask = g.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    hidden = g.op("Mul", g.op("Sub", mask, g.constant(1.0)), g.constant(1e9))
    hidden = g.op("Unsqueeze", hidden, g.ints(1, 2))
    weights = g.op("Unsqueeze", mask, g.ints(2))
    count = g.op("ReduceSum", weights, g.ints(1), keepdims=0)
    pooled = []
    for layer in range(max(layers) + 1):
        if layer:
            x = _layer(g, x, f"l{layer - 1}", hidden)
        if layer in layers:
            total = g.op("ReduceSum", g.op("Mul", x, weights), g.ints(1), keepdims=0)
            pooled.append(g.op("Div", total, count))
    return pooled[0] if len(pooled) == 1 else g.op("Concat", *pooled, axis=-1)


def _embedded(g: GraphWriter) -> str:
    """Words, places and the one kind of text, as numbers ``(batch, tokens, 384)``."""
    halves = g.op("Gather", g.weight("word.halves"), "input_ids")
    both = g.op("Cast", halves, to=TensorProto.INT32)
    sixteen = g.constant(16, np.int32)
    upper = g.op("Div", both, sixteen)
    lower = g.op("Sub", both, g.op("Mul", upper, sixteen))
    numbers = g.op("Cast", g.op("Concat", lower, upper, axis=-1), to=TensorProto.FLOAT)
    scales = g.op("Gather", g.weight("word.scales"), "input_ids")
    scales = g.op("Cast", scales, to=TensorProto.FLOAT)
    words = g.op("Mul", g.op("Sub", numbers, g.constant(8.0)), scales)
    words = g.op("Reshape", words, g.ints(0, 0, WIDTH))
    length = g.op("Shape", "input_ids", start=1, end=2)
    places = g.op("Slice", g.weight("emb.pos"), g.ints(0), length, g.ints(0))
    kind = g.op("Gather", g.weight("emb.type"), g.constant(0, np.int64))
    return g.norm(g.op("Add", g.op("Add", words, places), kind), "emb.ln")


def _layer(g: GraphWriter, x: str, name: str, hidden: str) -> str:
    """A Transformer's layer after BERT, ``(batch, tokens, 384)``."""
    split = g.ints(0, 0, HEADS, WIDTH // HEADS)

    def heads(part: str, order: list[int]) -> str:
        return g.op("Transpose", g.op("Reshape", g.linear(x, f"{name}.{part}"), split), perm=order)

    query, key, value = heads("q", [0, 2, 1, 3]), heads("k", [0, 2, 3, 1]), heads("v", [0, 2, 1, 3])
    scores = g.op("Mul", g.op("MatMul", query, key), g.constant((WIDTH // HEADS) ** -0.5))
    attention = g.op("Softmax", g.op("Add", scores, hidden), axis=-1)
    seen = g.op("Transpose", g.op("MatMul", attention, value), perm=[0, 2, 1, 3])
    seen = g.linear(g.op("Reshape", seen, g.ints(0, 0, WIDTH)), f"{name}.ao")
    x = g.norm(g.op("Add", x, seen), f"{name}.aln")
    inner = g.op("Gelu", g.linear(x, f"{name}.fi"))
    return g.norm(g.op("Add", x, g.linear(inner, f"{name}.fo")), f"{name}.oln")
