"""`Graph`: what an ONNX file says of itself, read before onnxruntime is given it.

A file from a stranger could name any file of the machine as its weights, ask for operators that
run forever, or nest graphs in graphs. So the file is walked first; the numbers of fields are those
of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from unisem.encoders.onnx.protobuf import fields, messages, numbers, written
from unisem.errors import EncoderError

_NAMES = """
Abs Add And ArgMax ArgMin Attention AveragePool BatchNormalization Cast CastLike Ceil Celu Clip
Concat ConcatFromSequence Constant ConstantOfShape Conv Cos CumSum DepthToSpace DequantizeLinear
Div DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather
GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual
GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization IsInf IsNaN
LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul MatMulInteger Max MaxPool Mean
Min Mish Mod Mul Neg NonZero Not OneHot Or PRelu Pad Pow QuantizeLinear RMSNormalization Range
Reciprocal ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
Relu Reshape Resize RotaryEmbedding Round ScatterND Selu SequenceAt Shape Sigmoid Sign Sin Size
Slice Softmax Softplus Softsign SpaceToDepth Split SplitToSequence Sqrt Squeeze Sub Sum Swish Tanh
Tile TopK Transpose Trilu Unsqueeze Where Xor
"""
OPERATORS = frozenset(_NAMES.split())
"""What a graph may be made of: operators of ONNX's own that compute and do not loop."""

_LARGEST = 2**31 - 1  # bytes that protobuf can hold


@dataclass(frozen=True, slots=True)
class Outside:
    """A weight whose numbers are not in the file.

    Attributes:
        kind: Of numbers, as ONNX counts them: 1 is float32.
        shape: Its sides.
    """

    kind: int
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where numbers lie.

    Attributes:
        file: Relative to the model's directory.
        start: The first byte.
        length: How many bytes.
    """

    file: str
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Graph:
    """What an ONNX file is made of.

    Attributes:
        content: The file.
        outside: Weights that are not in the file, by name.
    """

    content: bytes = field(repr=False)
    outside: dict[str, Outside]

    @classmethod
    def read(cls, path: Path) -> Graph:
        """Read a file, and look through it.

        Raises:
            EncoderError: There is no such file, it is damaged, or made of what is not allowed.
        """
        try:
            if path.stat().st_size > _LARGEST:
                raise EncoderError(f"{path} is larger than an ONNX file can be ({_LARGEST} bytes)")
            content = path.read_bytes()
        except OSError as error:
            raise EncoderError(f"{path} cannot be read: {error}") from error
        try:
            outside = dict(_of_model(memoryview(content)))
        except _RefusedError as refused:
            raise EncoderError(f"{path} {refused}: only graphs of plain operators run") from None
        except (IndexError, UnicodeDecodeError, ValueError) as error:
            raise EncoderError(f"{path} is no ONNX file, or a damaged one: {error}") from error
        return cls(content, outside)

    def located(self, places: Mapping[str, Place]) -> bytes:
        """The file, with a place for each weight that it lacks, where onnxruntime finds it.

        What the file itself says of places is left out.
        """
        return b"".join(
            written(7, self._graph_located(one.value, places))
            if one.number == 7 and isinstance(one.value, memoryview)
            else bytes(one.raw)
            for one in fields(memoryview(self.content))
        )

    def _graph_located(self, graph: memoryview, places: Mapping[str, Place]) -> bytes:
        parts: list[bytes | memoryview] = []
        for one in fields(graph):
            known = None
            if one.number == 5 and isinstance(one.value, memoryview):  # initializer
                known = _outside(one.value)
            parts.append(one.raw if known is None else _located(*known, places[known[0]]))
        return b"".join(parts)


class _RefusedError(Exception):
    """Words that go on from the file's name."""


def _of_model(model: memoryview) -> Iterator[tuple[str, Outside]]:
    """Weights outside; fields of ``ModelProto``."""
    seen = False
    for number, value in messages(model):
        if number == 7:  # graph
            seen = True
            yield from _of_graph(value)
        elif number == 25:  # functions
            raise _RefusedError("has functions of its own")
    if not seen:
        raise ValueError("it has no graph")


def _of_graph(graph: memoryview) -> Iterator[tuple[str, Outside]]:
    for number, value in messages(graph):
        if number == 1:  # node
            _check_node(value)
        elif number == 5 and (known := _outside(value)) is not None:  # initializer
            yield known
        elif number == 15:  # sparse_initializer
            raise _RefusedError("has sparse weights")


def _check_node(node: memoryview) -> None:
    operator = domain = ""
    for number, value in messages(node):
        if number == 4:
            operator = str(value, "utf-8")
        elif number == 7:
            domain = str(value, "utf-8")
        elif number == 5:  # attribute
            for kind, inner in messages(value):
                if kind in (6, 11):  # a graph, or several
                    raise _RefusedError("has a graph inside a graph")
                if kind in (5, 10) and _outside(inner) is not None:  # a tensor, or several
                    raise _RefusedError("has a constant in another file")
    if domain not in ("", "ai.onnx") or operator not in OPERATORS:
        raise _RefusedError(f"has the operator {'.'.join(filter(None, (domain, operator)))!r}")


def _outside(tensor: memoryview) -> tuple[str, Outside] | None:
    """Name and kind of a tensor whose numbers are not in the file; fields of ``TensorProto``."""
    name, kind, shape, outside = "", 0, list[int](), False
    for one in fields(tensor):
        if one.number == 1:
            shape += numbers(one.value)
        elif one.number == 2 and isinstance(one.value, int):
            kind = one.value
        elif one.number == 8 and isinstance(one.value, memoryview):
            name = str(one.value, "utf-8")
        elif one.number == 13 or (one.number == 14 and one.value):
            outside = True  # external_data, data_location
    return (name, Outside(kind, tuple(shape))) if outside else None


def _located(name: str, known: Outside, place: Place) -> bytes:
    """The field ``initializer`` of a graph, whose numbers lie at a place."""
    said = {"location": place.file, "offset": str(place.start), "length": str(place.length)}
    entries = (written(1, key.encode()) + written(2, value.encode()) for key, value in said.items())
    tensor = [written(1, side) for side in known.shape]
    tensor += [written(2, known.kind), written(8, name.encode())]
    tensor += [written(13, entry) for entry in entries]
    return written(5, b"".join([*tensor, written(14, 1)]))
