"""`trace`: one side of a model as an ONNX graph, its weights left in their files."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from unisem.encoders.onnx.encoder import INPUTS
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.encoders.sides import side_modules
from unisem.errors import EncoderError
from unisem.records import Modality

_OPSET = 18
_SMALL = 64  # bytes of a weight that may as well stand in the graph


def trace(
    source: SentenceTransformerEncoder,
    modality: Modality,
    features: Mapping[str, Any],
    directory: Path,
) -> bytes:
    """The graph of one side, from what a model takes to unit vectors.

    Args:
        source: The model, on a CPU.
        modality: Which side.
        features: What it takes of two inputs.
        directory: Where the weights lie that the graph is to name. What is in no file as it is,
            such as a product of loading, stands in the graph.

    Returns:
        An ONNX file.

    Raises:
        EncoderError: The model cannot be traced.
    """
    try:
        import onnx
        import onnx_ir
    except ImportError as error:
        raise EncoderError(
            'exporting needs onnx and onnxscript: pip install "unisem[onnx]"'
        ) from error

    names = [name for name, value in features.items() if isinstance(value, Tensor)]
    allowed = INPUTS if modality == "text" else ("pixel_values",)
    if strange := set(names) - set(allowed):
        raise EncoderError(
            f"the encoder {source.name!r} takes {', '.join(sorted(strange))} beside "
            f"{modality} inputs of the usual kind, and cannot be exported"
        )
    batch = torch.export.Dim("batch")
    axes: dict[int, Any] = {0: batch}
    if modality == "text":
        axes[1] = torch.export.Dim("tokens", max=source.text_limit or 1 << 15)
        short = source.preprocess_texts(["x"], "document")["input_ids"].shape[1]
        if short == source.text_limit:
            axes = {0: batch}
    side = _Side(source, modality, names, features)
    try:
        with _quietly():
            traced = torch.onnx.export(
                side,
                tuple(features[name] for name in names),
                input_names=names,
                output_names=["unit_vector"],
                dynamic_shapes=(tuple(axes for _ in names),),
                dynamo=True,
                optimize=False,
                opset_version=_OPSET,
                verbose=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        raise EncoderError(
            f"the {modality} side of the encoder {source.name!r} cannot be traced: "
            f"{' '.join(str(error).split())[:300]}"
        ) from error
    assert traced is not None
    graph: onnx.ModelProto = onnx_ir.to_proto(traced.model)
    _strip(graph)
    _leave_out_weights(graph, directory)
    content: bytes = graph.SerializeToString(deterministic=True)
    return content


class _Side(nn.Module):
    """The modules that one modality passes, and the unit length that an encoder gives."""

    def __init__(
        self,
        source: SentenceTransformerEncoder,
        modality: Modality,
        names: list[str],
        features: Mapping[str, Any],
    ) -> None:
        super().__init__()
        from sentence_transformers.base.modules import Router

        modules = list(source.model.children())
        if isinstance(modules[0], Router):
            routes = {
                modules[0]._resolve_route(task=task, modality=modality)
                for task in ("query", "document")
            }
            if len(routes) > 1:
                raise EncoderError(
                    f"the encoder {source.name!r} has one network for queries and another for "
                    "documents, and cannot be exported"
                )
            modules = [*side_modules(source.model, modality), *modules[1:]]
        self._modules_passed = nn.ModuleList(modules)
        self._names = names
        self._rest = {name: value for name, value in features.items() if name not in names}

    def forward(self, *inputs: Tensor) -> Tensor:
        features = {**self._rest, **dict(zip(self._names, inputs, strict=True))}
        for module in self._modules_passed:
            features = module(features)
        return nn.functional.normalize(features["sentence_embedding"], dim=-1)


def _strip(graph: Any) -> None:
    """Leave out what is for debugging: the lines of code that operators come from."""
    parts = [graph, graph.graph, *graph.graph.node, *graph.graph.initializer]
    for part in (*parts, *graph.graph.input, *graph.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    del graph.graph.value_info[:]


def _leave_out_weights(graph: Any, directory: Path) -> None:
    """Name each weight by its place in a safetensors file, and take its numbers out.

    Weights that a file holds in half precision are made wide by the graph; a table of which few
    rows are taken only after they are.
    """
    import onnx

    places = _places(directory)
    names: dict[str, str] = {}  # new ones, by what the tracer called a weight
    outside: dict[str, Any] = {}
    kept = []
    for tensor in graph.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        place, dtype = places.get(_content(values), (None, None))
        if place is None or values.nbytes <= _SMALL:
            kept.append(tensor)
            continue
        names[tensor.name] = place  # two layers may share one weight
        outside[place] = onnx.TensorProto(
            name=place,
            dims=tensor.dims,
            data_type=onnx.TensorProto.FLOAT16 if dtype == torch.float16 else tensor.data_type,
            data_location=onnx.TensorProto.EXTERNAL,
        )
        outside[place].external_data.add(key="location", value=place.rpartition(":")[0])
    del graph.graph.initializer[:]
    graph.graph.initializer.extend([*kept, *outside.values()])
    narrow = {
        name for name, tensor in outside.items() if tensor.data_type == onnx.TensorProto.FLOAT16
    }
    nodes = [_widening(name, f"{name}:wide") for name in sorted(narrow)]
    for node in graph.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        if node.op_type == "Gather" and node.input[0] in narrow:
            result = node.output[0]
            node.output[0] = f"{result}:narrow"
            nodes += [node, _widening(node.output[0], result)]
        else:
            node.input[:] = [f"{name}:wide" if name in narrow else name for name in node.input]
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    del graph.graph.node[:]
    graph.graph.node.extend(
        node for node in nodes if not node.output[0].endswith(":wide") or node.output[0] in used
    )


def _widening(given: str, wide: str) -> Any:
    import onnx

    return onnx.helper.make_node("Cast", [given], [wide], to=onnx.TensorProto.FLOAT)


def _places(directory: Path) -> dict[bytes, tuple[str, torch.dtype]]:
    """Where weights lie, and in which precision, by their content as it is loaded."""
    places = {}
    for path in sorted(directory.rglob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  # it is no mapping
                weight = file.get_tensor(name)
                if weight.dtype == torch.bfloat16:  # numpy has no such numbers
                    continue
                wide = weight.float() if weight.is_floating_point() else weight
                place = f"{path.relative_to(directory).as_posix()}:{name}"
                places[_content(wide.numpy())] = (place, weight.dtype)
    return places


def _content(values: np.ndarray[Any, Any]) -> bytes:
    """Tells weights from each other."""
    digest = hashlib.sha256(f"{values.dtype} {values.shape}".encode())
    digest.update(np.ascontiguousarray(values).tobytes())
    return digest.digest()


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporter says of libraries that are not installed, and of its own code."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
