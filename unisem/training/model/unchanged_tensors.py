"""`keep_unchanged_tensors`: what training left alone is stored as it was stored before."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor


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
