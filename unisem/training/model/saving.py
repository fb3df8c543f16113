"""Saving a trained encoder as a directory that `load_encoder` opens."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.errors import TrainingError
from unisem.models.missing_weights import quietly
from unisem.training.model.token_vectors import gives_tokens, multi_vector_encoder
from unisem.training.recipe import Recipe

RECORD = "training.json"
"""The file that says how an encoder was trained."""


def save_encoder(
    encoder: SentenceTransformerEncoder, output: Path, recipe: Recipe | None = None
) -> None:
    """Write an encoder's model, or late interaction, beside its place, then move it there.

    What training did not change has the floating type of the start model's files, and their bytes.

    Args:
        encoder: The encoder, its model trained.
        output: The directory to make; an earlier one is replaced only if `check_output` allows it.
        recipe: How it was trained.

    Raises:
        TrainingError: The disk refused; what was at ``output`` is intact.
    """
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        model = encoder.model
        save_model(multi_vector_encoder(model) if gives_tokens(model) else model, partial)
        keep_unchanged_tensors(encoder.directory, partial)
        for name in ("unisem_config.json", "licenses"):  # what the start model's files say beside
            source = encoder.directory / name
            if source.is_dir():
                shutil.copytree(source, partial / name)
            elif source.is_file():
                shutil.copyfile(source, partial / name)
        record: dict[str, Any] = {
            "start": encoder.name,
            "start_fingerprint": encoder.fingerprint,
            "recipe": None if recipe is None else dataclasses.asdict(recipe),
        }
        described = partial / RECORD
        described.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        for weights in partial.rglob("*.safetensors"):  # else for their owner's eyes only
            weights.chmod(described.stat().st_mode)
        for path in partial.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())  # checkpoints go when this is done
        shutil.rmtree(output, ignore_errors=True)
        os.replace(partial, output)
    except Exception as error:  # the disk's words come wrapped by safetensors and by others
        shutil.rmtree(partial, ignore_errors=True)
        raise TrainingError(f"the encoder cannot be written to {output}: {error}") from error


def save_model(model: Any, directory: Path) -> None:
    """Save sentence-transformers' model as safetensors, without a model card and progress bars."""
    with quietly():
        model.save(str(directory), create_model_card=False, safe_serialization=True)


def check_output(output: Path) -> None:
    """Refuse to train into a directory that holds something else.

    Raises:
        TrainingError: It exists, is not empty, and no training run made it.
    """
    if output.exists() and not output.is_dir():
        raise TrainingError(f"{output} is a file; name a directory for the encoder")
    if output.is_dir() and any(output.iterdir()) and not (output / RECORD).is_file():
        raise TrainingError(
            f"{output} holds something that no training run wrote; name another directory"
        )


def keep_unchanged_tensors(start: Path, saved: Path) -> None:
    """Give tensors of a saved model the floating type that its start model's files have.

    A model is trained in float32 and saved in it, frozen networks too, which may have come as
    float16 and would take twice the room. A tensor that is still what the start model's files say
    is written as those have it, to the byte; a file of such tensors alone is the start model's
    file. What was trained stays as it is.

    Args:
        start: The start model's directory.
        saved: The trained model's, with the same layout; changed in place.
    """
    for path in sorted(saved.rglob("*.safetensors")):
        before = _stored(start / path.parent.relative_to(saved))
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        kept = {
            name: origin
            for name, tensor in tensors.items()
            if (place := before.get(name)) and _same(origin := _read(place, name), tensor)
        }
        if all(kept[name].dtype == tensors[name].dtype for name in kept):
            continue
        source = before[next(iter(kept))]
        if kept.keys() == tensors.keys() == _names(source):
            shutil.copyfile(source, path)
        else:
            save_file(tensors | kept, path, metadata)


def _stored(folder: Path) -> dict[str, Path]:
    """Which of a folder's files has a tensor."""
    return {name: path for path in sorted(folder.glob("*.safetensors")) for name in _names(path)}


def _names(path: Path) -> set[str]:
    with safe_open(str(path), framework="pt") as file:
        return set(file.keys())


def _read(path: Path, name: str) -> Tensor:
    with safe_open(str(path), framework="pt") as file:
        tensor: Tensor = file.get_tensor(name)
    return tensor


def _same(origin: Tensor, tensor: Tensor) -> bool:
    return origin.shape == tensor.shape and torch.equal(origin.to(tensor.dtype), tensor)
