"""`quantize`: a graph whose large multiplications are of 8-bit whole numbers.

Weights of matrix products are quantised by column, what they are multiplied by as it comes
(dynamic quantisation). Of a convolutional tower, the 1 × 1 convolutions are, by channel, with
ranges from example pictures (static quantisation); its first layer, its depthwise convolutions,
its gates and the layers after it are left as they are: quantised, too, they make other vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisem.encoders.onnx.graph import Graph
from unisem.encoders.onnx.session import read_weights
from unisem.errors import EncoderError

_GATE = 8  # channels of a convolution that is a gate, at most


def quantize(path: Path, directory: Path, pictures: Sequence[NDArray[np.float32]]) -> bytes:
    """Quantise one graph; its weights, quantised or not, stand in it.

    Args:
        path: What `unisem.encoders.onnx.tracing` wrote.
        directory: Where its weights lie.
        pictures: ``(1, 3, height, width)`` each: what ranges are measured on.

    Raises:
        EncoderError: There are convolutions, and no pictures.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_dynamic,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Examples(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left: Iterator[Any] = iter(pictures)

        def get_next(self) -> dict[str, Any] | None:
            pixels = next(self._left, None)
            return None if pixels is None else {"pixel_values": pixels}

    with TemporaryDirectory() as folder:
        whole, ready, done = (Path(folder) / f"{name}.onnx" for name in ("whole", "ready", "done"))
        whole.write_bytes(_whole(path, directory))
        quant_pre_process(str(whole), str(ready), skip_symbolic_shape=True)
        convolutions = _convolutions(onnx.load(ready))
        if convolutions and not pictures:
            raise EncoderError(
                "the image tower is made of convolutions: int8 needs example pictures, a hundred "
                "of the kind that is to be indexed"
            )
        if convolutions:
            quantize_static(
                str(ready),
                str(done),
                Examples(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=convolutions,
            )
        else:
            quantize_dynamic(
                str(ready),
                str(done),
                per_channel=True,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=["MatMul"],
            )
        return done.read_bytes()


def _convolutions(model: Any) -> list[str]:
    """The names of those 1 × 1 convolutions that carry the work."""
    shapes = {weight.name: list(weight.dims) for weight in model.graph.initializer}
    weights = {
        node.name: shapes.get(node.input[1], [])
        for node in model.graph.node
        if node.op_type == "Conv"
    }
    return [
        name for name, shape in weights.items() if shape[2:] == [1, 1] and min(shape[:2]) > _GATE
    ]


def _whole(path: Path, directory: Path) -> bytes:
    """A graph with its weights in it, in half precision where it takes few rows of a table."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    names = sorted(Graph.read(path).outside)
    weights = dict(zip(names, read_weights(directory, names, str(path)), strict=True))
    tables = {node.input[0] for node in model.graph.node if node.op_type == "Gather"}
    for tensor in model.graph.initializer:
        if (weight := weights.get(tensor.name)) is not None:
            if tensor.name not in tables and weight.dtype == np.float16:
                weight = weight.astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(weight, tensor.name))
    for node in model.graph.node:  # of what is wide now
        if node.op_type == "Cast" and node.input[0] in weights.keys() - tables:
            node.op_type = "Identity"
            del node.attribute[:]
    content: bytes = model.SerializeToString(deterministic=True)
    return content
