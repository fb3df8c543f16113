"""A graph from a stranger is looked through before onnxruntime opens it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from safetensors.numpy import save_file

from tests.support.examples import examples
from unisem.encoders.mini import MODEL_DIRECTORY
from unisem.encoders.onnx.graph import Graph, Outside, Place
from unisem.encoders.onnx.protobuf import written
from unisem.encoders.onnx.session import open_session
from unisem.errors import EncoderError

SHIPPED = MODEL_DIRECTORY / "onnx" / "text.onnx"


def model(*nodes: onnx.NodeProto, **parts: object) -> onnx.ModelProto:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([*nodes], "g", [value], [result], **parts)  # type: ignore[arg-type]
    return helper.make_model(graph)


def outside(location: str = "/etc/passwd", name: str = "w") -> TensorProto:
    tensor = TensorProto(name=name, dims=[1], data_type=1, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def plain() -> onnx.NodeProto:
    return helper.make_node("Add", ["x", "w"], ["y"])


INNER = model(plain()).graph
REFUSED = {
    "another domain": (helper.make_node("Add", ["x"], ["y"], domain="evil"), "evil.Add"),
    "a loop": (helper.make_node("Loop", ["x"], ["y"], body=INNER), "graph inside a graph"),
    "a bare loop": (helper.make_node("Scan", ["x"], ["y"]), "Scan"),
    "a constant outside": (
        helper.make_node("Constant", [], ["y"], value=outside()),
        "constant in another file",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_a_graph_may_not_have(tmp_path: Path, kind: str) -> None:
    node, words = REFUSED[kind]
    path = tmp_path / "g.onnx"
    onnx.save(model(node), path)
    with pytest.raises(EncoderError, match=words):
        Graph.read(path)


def test_an_operator_is_what_onnxruntime_reads(tmp_path: Path) -> None:
    """Nothing hides behind a field of other bytes, or a tag of more bits, than protobuf reads."""
    named, hidden = written(4, b"Bernoulli"), b"\xa2\x80\x80\x80\x10\x04Relu"  # 4, and bit 32
    other = {"four bytes": b"\x25Relu", "eight bytes": b"\x21Identity", "a longer tag": hidden}
    path = tmp_path / "g.onnx"
    for kind, bytes_after in other.items():
        node = written(1, b"x") + written(2, b"y") + named + bytes_after
        path.write_bytes(written(7, written(1, node)))
        with pytest.raises(EncoderError, match=r"Bernoulli|field of number"):
            Graph.read(path)
        with suppress(DecodeError):
            read = onnx.load_from_string(path.read_bytes())
            assert kind == "a longer tag" or read.graph.node[0].op_type == "Bernoulli"


def test_functions_and_sparse_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    whole = model(plain())
    whole.functions.add(name="f")
    onnx.save(whole, path)
    with pytest.raises(EncoderError, match="functions"):
        Graph.read(path)
    sparse = model(plain())
    sparse.graph.sparse_initializer.add()
    onnx.save(sparse, path)
    with pytest.raises(EncoderError, match="sparse"):
        Graph.read(path)


@pytest.mark.parametrize(
    "name", ["w", "/etc/passwd:w", "../other.safetensors:w", "a/../../other.safetensors:w"]
)
def test_weights_are_the_directorys_own(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "model"
    directory.mkdir()
    (tmp_path / "other.safetensors").touch()
    path = directory / "g.onnx"
    onnx.save(
        model(helper.make_node("Add", ["x", name], ["y"]), initializer=[outside(name=name)]), path
    )
    with pytest.raises(EncoderError, match="no file of its own"):
        open_session(directory, path, "the encoder 'x'")


def test_it_sees_what_onnx_sees() -> None:
    known = onnx.load(SHIPPED, load_external_data=False).graph.initializer
    wanted = {
        one.name: Outside(one.data_type, tuple(one.dims))
        for one in known
        if one.data_location == TensorProto.EXTERNAL
    }
    assert wanted
    assert Graph.read(SHIPPED).outside == wanted


def test_located_it_is_the_same_graph_with_places(tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    known = model(
        plain(),
        initializer=[
            outside(),
            onnx.numpy_helper.from_array(np.ones((2, 3), np.float32), "inside"),
        ],
    )
    known.producer_name = "somebody"
    onnx.save(known, path)
    place = Place("a/b.safetensors", 2**33, 4)
    located = onnx.load_from_string(Graph.read(path).located({"w": place}))
    (weight, _) = located.graph.initializer
    said = {entry.key: entry.value for entry in weight.external_data}
    assert said == {"location": "a/b.safetensors", "offset": str(2**33), "length": "4"}
    del known.graph.initializer[0].external_data[:], weight.external_data[:]
    assert located == known


@pytest.mark.parametrize("weight", [np.ones((3, 2), np.float32), np.ones((2, 3), np.int32)])
def test_weights_of_another_shape_or_kind_are_refused(tmp_path: Path, weight: np.ndarray) -> None:
    name = "w.safetensors:w"
    tensor = outside(name=name)
    tensor.dims[:] = [2, 3]
    onnx.save(
        model(helper.make_node("Add", ["x", name], ["y"]), initializer=[tensor]),
        tmp_path / "g.onnx",
    )
    save_file({"w": weight}, tmp_path / "w.safetensors")
    with pytest.raises(EncoderError, match="the graph wants another"):
        open_session(tmp_path, tmp_path / "g.onnx", "the encoder 'x'")


@settings(max_examples=examples(60), deadline=None)
@given(st.binary(max_size=300), st.integers(0, SHIPPED.stat().st_size), st.booleans())
def test_any_bytes_are_a_graph_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, place: int, replaces: bool
) -> None:
    content = SHIPPED.read_bytes() if replaces else b""
    path = tmp_path_factory.mktemp("g") / "g.onnx"
    path.write_bytes(content[:place] + noise + content[place + len(noise) :])
    with suppress(EncoderError):
        graph = Graph.read(path)
        somewhere = dict.fromkeys(graph.outside, Place("a.safetensors", 0, 4))
        assert isinstance(graph.located(somewhere), bytes)
