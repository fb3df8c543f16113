"""`open_session`: a checked graph with its weights, ready to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from unisem.common.threads import computing_threads
from unisem.encoders.onnx.graph import Graph
from unisem.errors import EncoderError


def open_session(directory: Path, path: Path, what: str) -> Any:
    """Open a graph, and give it the weights that lie in safetensors files beside it.

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
    names = sorted(graph.outside)
    weights = read_weights(directory, names, what)
    options.add_external_initializers(
        names, [onnxruntime.OrtValue.ortvalue_from_numpy(weight) for weight in weights]
    )
    try:
        return onnxruntime.InferenceSession(
            graph.content, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's own are no kind of anything
        raise EncoderError(f"{what} does not load: {' '.join(str(error).split())}") from error


def read_weights(directory: Path, names: list[str], what: str) -> list[np.ndarray[Any, Any]]:
    """The weights of these names, ``file:tensor``, as their files hold them.

    Raises:
        EncoderError: There are no such, or their file is none of the directory's.
    """
    from safetensors import SafetensorError, safe_open

    open_files: dict[str, Any] = {}
    found = []
    for name in names:
        place, _, tensor = name.rpartition(":")
        path = directory / place
        if not place.endswith(".safetensors") or not path.resolve().is_relative_to(
            directory.resolve()
        ):
            raise EncoderError(f"{what} wants weights from {place!r}, which is no file of its own")
        try:
            if place not in open_files:
                open_files[place] = safe_open(path, framework="numpy")
            weight = open_files[place].get_tensor(tensor)
        except (OSError, SafetensorError) as error:
            raise EncoderError(
                f"{what} is not whole: {place} lacks {tensor!r} ({error}). Fetch or export it anew"
            ) from error
        found.append(weight)
    return found
