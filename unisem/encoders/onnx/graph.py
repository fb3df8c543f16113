"""`Graph`: what an ONNX file says of itself, read before onnxruntime is given it.

A file from a stranger could name any file of the machine as its weights, ask for operators that
run forever, or nest graphs in graphs. So the file is walked first, in protobuf's own encoding
(https://protobuf.dev/programming-guides/encoding/, fields of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto): about sixty lines instead of a dependency.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

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
_MESSAGE = 2  # wire type of what has a length


@dataclass(slots=True)
class Graph:
    """What an ONNX file is made of.

    Attributes:
        content: The file.
        outside: Names of weights that are not in the file.
    """

    content: bytes = field(repr=False)
    outside: set[str]

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
            outside = set(_of_model(memoryview(content)))
        except _RefusedError as refused:
            raise EncoderError(f"{path} {refused}: only graphs of plain operators run") from None
        except (IndexError, UnicodeDecodeError, ValueError) as error:
            raise EncoderError(f"{path} is no ONNX file, or a damaged one: {error}") from error
        return cls(content, outside)


class _RefusedError(Exception):
    """Words that go on from the file's name."""


def _of_model(model: memoryview) -> Iterator[str]:
    """Names of weights outside; fields of ``ModelProto``."""
    seen = False
    for number, value in _messages(model):
        if number == 7:  # graph
            seen = True
            yield from _of_graph(value)
        elif number == 25:  # functions
            raise _RefusedError("has functions of its own")
    if not seen:
        raise ValueError("it has no graph")


def _of_graph(graph: memoryview) -> Iterator[str]:
    for number, value in _messages(graph):
        if number == 1:  # node
            _check_node(value)
        elif number == 5 and (name := _outside(value)) is not None:  # initializer
            yield name
        elif number == 15:  # sparse_initializer
            raise _RefusedError("has sparse weights")


def _check_node(node: memoryview) -> None:
    operator = domain = ""
    for number, value in _messages(node):
        if number == 4:
            operator = str(value, "utf-8")
        elif number == 7:
            domain = str(value, "utf-8")
        elif number == 5:  # attribute
            for kind, inner in _messages(value):
                if kind in (6, 11):  # a graph, or several
                    raise _RefusedError("has a graph inside a graph")
                if kind in (5, 10) and _outside(inner) is not None:  # a tensor, or several
                    raise _RefusedError("has a constant in another file")
    if domain not in ("", "ai.onnx") or operator not in OPERATORS:
        raise _RefusedError(f"has the operator {'.'.join(filter(None, (domain, operator)))!r}")


def _outside(tensor: memoryview) -> str | None:
    """The name of a tensor whose numbers are not in the file."""
    name, outside = "", False
    for number, value in _fields(tensor):
        if number == 8 and isinstance(value, memoryview):
            name = str(value, "utf-8")
        elif number == 13 or (number == 14 and value == 1):  # external_data, data_location
            outside = True
    return name if outside else None


def _messages(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    return ((number, value) for number, value in _fields(data) if isinstance(value, memoryview))


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Number and value of each field."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        kind = key & 7
        if kind == 0:
            value, position = _varint(data, position)
            yield key >> 3, value
            continue
        if kind == _MESSAGE:
            length, position = _varint(data, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of kind {kind}")
        if position + length > len(data):
            raise ValueError("a field is cut off")
        yield key >> 3, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("a number is too long")
