"""`locate_model`: the directory that an encoder's name stands for."""

from __future__ import annotations

import os
from pathlib import Path

from unisem.encoders.mini import MODEL_DIRECTORY
from unisem.errors import EncoderError
from unisem.models.finding import hub_directory, is_hub_id, unsafe_weights


def locate_model(name: str, *, local_only: bool = False) -> Path:
    """Return the directory of a model's files.

    Args:
        name: ``mini``, a local directory, or a hub id (``owner/name``, ``owner/name@revision``).
            A hub id is looked for in the local cache first; what is missing is downloaded, safe
            files only (safetensors, JSON, tokenizer text).
        local_only: Download nothing.

    Raises:
        EncoderError: Nothing of that name, or weights that are not safetensors.
    """
    if name == "mini":
        directory = MODEL_DIRECTORY
    elif os.path.isdir(name):  # which, unlike `Path.is_dir`, bears any name
        directory = Path(name).resolve()
    elif is_hub_id(name):
        directory = hub_directory(name, local_only)
    else:
        raise EncoderError(
            f"no encoder {name!r}: pass 'mini', an existing directory with a saved model, "
            "or a hub id such as 'openai/clip-vit-base-patch32'"
        )
    if fault := unsafe_weights(directory):
        raise EncoderError(f"{name!r} {fault}")
    return directory
