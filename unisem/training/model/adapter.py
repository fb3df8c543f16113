"""Adapters: what training changed, saved alone, and put together with its base model again.

An adapter is a folder with

- ``unisem_adapter.json``: format, what the base is called, its fingerprint, and with what options
  it was trained;
- ``adapter.safetensors``: parameters and buffers that differ from the base's, by name; of a layer
  with LoRA the two factors of what is added to its weight, ``NAME.lora_A`` ``(rank, in)`` and
  ``NAME.lora_B`` ``(out, rank)``;
- ``training.json``, as beside every trained encoder.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from unisem.encoders import Encoder, load_encoder
from unisem.encoders.loading import in_torch
from unisem.encoders.mini import MODEL_DIRECTORY
from unisem.encoders.options import EncoderOptions
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.errors import EncoderError, TrainingError
from unisem.models.finding import ADAPTER, digest_model, is_hub_id
from unisem.training.model.saving import RECORD, check_output, save_encoder
from unisem.training.recipe import Recipe

_TENSORS = "adapter.safetensors"
_FORMAT = 1
_MOST = 100_000  # bytes of the description
_FACTORS = (".lora_A", ".lora_B")


def save_adapter(
    encoder: SentenceTransformerEncoder,
    output: Path,
    recipe: Recipe,
    factors: Mapping[str, tuple[Tensor, Tensor]],
) -> None:
    """Write what training changed, beside its place, then move it there.

    Args:
        encoder: The trained encoder, LoRA merged; its files are the base's.
        output: The directory to make; an earlier one is replaced only if `check_output` allows it.
        recipe: How it was trained.
        factors: Of each weight with LoRA ``(A, B)``, whose product was added to it.

    Raises:
        TrainingError: The disk refused; what was at ``output`` is intact.
    """
    fresh = SentenceTransformerEncoder(encoder.name, encoder.directory, device="cpu")
    before: dict[str, Tensor] = fresh.model.state_dict()
    tensors: dict[str, Tensor] = {}
    for name, tensor in encoder.model.state_dict().items():
        value = tensor.detach().cpu()
        if name in factors:
            for ending, factor in zip(_FACTORS, factors[name], strict=True):
                tensors[name + ending] = factor.detach().cpu().contiguous()
        elif not torch.equal(value, before[name]):
            # Names that share their memory, as tied layers do, cannot be saved as they are.
            tensors[name] = value.clone(memory_format=torch.contiguous_format)
    known = encoder.directory == MODEL_DIRECTORY or _is_of_hub(encoder.name)
    described = {
        "format": _FORMAT,
        # Of a directory only what it is called: where it lies is nobody else's business.
        "base": encoder.name if known else Path(encoder.name).name,
        "fingerprint": encoder.model_fingerprint,
        "options": encoder.options.of_vectors,
    }
    record = {
        "start": described["base"],
        "start_fingerprint": encoder.fingerprint,
        "recipe": dataclasses.asdict(recipe),
    }
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        save_file(tensors, partial / _TENSORS, {"format": "pt"})
        for name, value in ((ADAPTER, described), (RECORD, record)):
            (partial / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
        (partial / _TENSORS).chmod((partial / ADAPTER).stat().st_mode)
        for path in partial.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        shutil.rmtree(output, ignore_errors=True)
        os.replace(partial, output)
    except Exception as error:  # the disk's words come wrapped by safetensors and by others
        shutil.rmtree(partial, ignore_errors=True)
        raise TrainingError(f"the adapter cannot be written to {output}: {error}") from error


def merge_adapter(
    adapter: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    base: str | Encoder | None = None,
) -> Path:
    """Put an adapter and its base together: an encoder as it would have been saved whole.

    An adapter may come from a stranger. What it calls its base is looked for only if that is `mini`
    or a hub id in the local cache; a directory is read if it is named here, never because a file
    says so; and whatever is found must have the base's fingerprint.

    Args:
        adapter: A folder that ``unisem train --save adapter`` made.
        output: The directory to make.
        base: The model that it adapts, as for `load_encoder`.

    Raises:
        EncoderError: It is no adapter, damaged, or made for another model than the one that is
            here.
        TrainingError: ``output`` holds something else, or cannot be written.
    """
    folder, place = Path(adapter), Path(output)
    check_output(place)
    name, fingerprint, options = _described(folder)
    if base is None and name != "mini" and not _is_of_hub(name):
        raise EncoderError(
            f"{folder} adapts a model in a directory called {name!r}; name that directory as base"
        )
    found = in_torch(load_encoder(name, local_only=True) if base is None else load_encoder(base))
    has = found.fingerprint
    if isinstance(found, SentenceTransformerEncoder):
        has = found.model_fingerprint  # without the options that it may have been loaded with
        if has != fingerprint == digest_model(found.directory):
            raise EncoderError(
                f"{folder} was trained when inputs of {found.name!r} were not prepared as they are "
                "now; train it anew"
            )
    if not isinstance(found, SentenceTransformerEncoder) or has != fingerprint:
        raise EncoderError(
            f"{folder} adapts {name!r} with the fingerprint {fingerprint[:12]}, and {found.name!r} "
            f"has {has[:12]}; name the model that it was trained from as base"
        )
    # Another one: it is changed here, may be somebody's, and is saved with the options of training.
    found = SentenceTransformerEncoder(found.name, found.directory, device="cpu", options=options)
    _apply(found.model, _tensors(folder), folder)
    save_encoder(found, place)
    return place


def _is_of_hub(name: str) -> bool:
    """Whether a name is the hub's, and not a directory's that looks like one."""
    return is_hub_id(name) and not os.path.isdir(name)


def _described(folder: Path) -> tuple[str, str, EncoderOptions]:
    try:
        with (folder / ADAPTER).open("rb") as file:
            text = file.read(_MOST + 1)
        if len(text) > _MOST:
            raise ValueError("it is too long")
        known: Any = json.loads(text)
        if known["format"] != _FORMAT:
            raise ValueError(f"its format is {known['format']!r}, and this version reads {_FORMAT}")
        name, fingerprint = known["base"], known["fingerprint"]
        if not isinstance(name, str) or not isinstance(fingerprint, str):
            raise TypeError("base and fingerprint must be strings")
        options = EncoderOptions.from_json(known["options"])
    except (KeyError, OSError, RecursionError, TypeError, ValueError) as error:
        raise EncoderError(f"{folder} is no adapter of an encoder: {error}") from error
    return name, fingerprint, options


def _tensors(folder: Path) -> dict[str, Tensor]:
    try:
        return load_file(folder / _TENSORS)
    except (OSError, SafetensorError, ValueError) as error:
        raise EncoderError(f"{folder}: {_TENSORS} cannot be read: {error}") from error


def _apply(model: Any, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Change a base model's numbers; all that an adapter holds must fit."""
    targets: dict[str, Tensor] = model.state_dict()
    changed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise EncoderError(f"{folder}: {name} has numbers that are none; fetch it again")
        target = name.removesuffix(_FACTORS[0])
        if name.endswith(_FACTORS[1]) and name.removesuffix(_FACTORS[1]) + _FACTORS[0] in tensors:
            continue
        if target != name:
            other = tensors.get(target + _FACTORS[1])
            fits = other is not None and tensor.dim() == other.dim() == 2
            if not fits or other is None or other.shape[1] != tensor.shape[0]:
                raise EncoderError(f"{folder}: the two factors of {target} do not fit each other")
            shape = [other.shape[0], tensor.shape[1]]
        else:
            other, shape = None, list(tensor.shape)
        # Before factors are multiplied: those of a few bytes may have a product that fills memory.
        if target not in targets or list(targets[target].shape) != shape:
            raise EncoderError(f"{folder}: its base has no {target} of the shape {shape}")
        if other is not None:
            tensor = targets[target] + other.float() @ tensor.float()
        changed[target] = tensor
    with torch.no_grad():
        for name, tensor in changed.items():
            targets[name].copy_(tensor)
