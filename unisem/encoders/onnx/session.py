"""`open_session`: a checked graph with its weights, ready to run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from unisem.common.threads import computing_threads
from unisem.encoders.onnx.graph import Graph, Outside, Place
from unisem.errors import EncoderError

_KINDS = {
    "F32": 1,
    "U8": 2,
    "I8": 3,
    "U16": 4,
    "I16": 5,
    "I32": 6,
    "I64": 7,
    "BOOL": 9,
    "F16": 10,
    "F64": 11,
    "BF16": 16,
}
"""ONNX's number of what safetensors calls a kind."""
_FLOAT = 1
_FOLDED = 100_000  # bytes


def open_session(directory: Path, path: Path, what: str) -> Any:
    """Open a graph, and give it the weights that lie in safetensors files beside it.

    onnxruntime maps these files: what a graph never looks at, such as most rows of a table of
    words, is not read, and processes share what they have read.

    Args:
        directory: The model's; no weight may come from outside.
        path: The graph.
        what: What to call the model in an error, for example ``the encoder 'mini'``.

    Returns:
        An ``onnxruntime.InferenceSession``.

    Raises:
        EncoderError: The graph is damaged or not allowed, or lacks weights.
    """
    import onnxruntime

    graph = Graph.read(path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # what it would warn of is in the error that it raises
    options.intra_op_num_threads = computing_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(directory.resolve())
    )
    if all(known.kind == _FLOAT for known in graph.outside.values()):
        # A matrix is multiplied as it lies in its file, instead of being turned into a copy. Of
        # narrow numbers, which are made wide, a copy is wanted.
        options.add_session_config_entry(
            "optimization.constant_folding_max_output_size_in_bytes", str(_FOLDED)
        )
    content = graph.located(_places(directory, graph.outside, what))
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own are no kind of anything
        raise EncoderError(f"{what} does not load: {' '.join(str(error).split())}") from error


def read_weights(directory: Path, names: Iterable[str], what: str) -> list[np.ndarray[Any, Any]]:
    """The weights of these names, ``file:tensor``, as their files hold them.

    Raises:
        EncoderError: There are no such, or their file is none of the directory's.
    """
    from safetensors import SafetensorError

    open_files: dict[str, Any] = {}
    found = []
    for name in names:
        file, _, tensor = name.rpartition(":")
        try:
            if file not in open_files:
                open_files[file] = _opened(directory, file, what)
            found.append(open_files[file].get_tensor(tensor))
        except (OSError, SafetensorError) as error:
            raise _not_whole(what, file, tensor, error) from error
    return found


def _places(directory: Path, wanted: dict[str, Outside], what: str) -> dict[str, Place]:
    """Where the weights of these names lie.

    Raises:
        EncoderError: As `read_weights`; or they are of another kind or shape.
    """
    from safetensors import SafetensorError

    headers: dict[str, tuple[int, dict[str, Any]]] = {}
    places = {}
    for name, known in wanted.items():
        file, _, tensor = name.rpartition(":")
        try:
            if file not in headers:
                _opened(directory, file, what)  # checks that it is whole
                headers[file] = _header(directory / file)
            begin, entries = headers[file]
            entry = entries[tensor]
        except (KeyError, OSError, SafetensorError) as error:
            raise _not_whole(what, file, tensor, error) from error
        if (_KINDS.get(entry["dtype"]), tuple(entry["shape"])) != (known.kind, known.shape):
            raise EncoderError(
                f"{what} is not whole: {tensor!r} of {file} is {entry['dtype']} "
                f"{entry['shape']}, and the graph wants another. Fetch or export it anew"
            )
        start, end = entry["data_offsets"]
        places[name] = Place(file, begin + start, end - start)
    return places


def _opened(directory: Path, file: str, what: str) -> Any:
    from safetensors import safe_open

    path = directory / file
    inside = path.resolve().is_relative_to(directory.resolve())
    if not file.endswith(".safetensors") or not inside:
        raise EncoderError(f"{what} wants weights from {file!r}, which is no file of its own")
    return safe_open(path, framework="numpy")


def _header(path: Path) -> tuple[int, dict[str, Any]]:
    """Where the numbers begin, and what there is (https://github.com/huggingface/safetensors)."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entries = json.loads(file.read(length))
    entries.pop("__metadata__", None)  # which is no tensor, whatever it says
    return 8 + length, entries


def _not_whole(what: str, file: str, tensor: str, error: Exception) -> EncoderError:
    return EncoderError(
        f"{what} is not whole: {file} lacks {tensor!r} ({error}). Fetch or export it anew"
    )
