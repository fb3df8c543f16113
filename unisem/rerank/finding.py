"""Finding a reranker's files, and refusing those that are no reranker or could run code."""

from __future__ import annotations

import os
from pathlib import Path

from unisem.errors import EncoderError, RerankerError
from unisem.models.finding import hub_directory, is_hub_id, unsafe_weights
from unisem.models.kinds import architectures, model_kind

_HEADS = ("ForSequenceClassification", "ForCausalLM")


def locate_reranker(name: str, *, local_only: bool = False) -> Path:
    """Return the directory of a cross encoder's files.

    Args:
        name: A local directory, or a hub id (``owner/name``, ``owner/name@revision``). A hub id
            is looked for in the local cache first; what is missing is downloaded, safe files only
            (safetensors, JSON, tokenizer text).
        local_only: Download nothing.

    Raises:
        RerankerError: Nothing of that name, weights that are not safetensors, or a model without
            a trained head that scores a pair.
    """
    if os.path.isdir(name):  # which, unlike `Path.is_dir`, bears any name
        directory = Path(name).resolve()
    elif is_hub_id(name):
        directory = _downloaded(name, local_only)
    else:
        raise RerankerError(
            f"no reranker {name!r}: pass an existing directory with a saved cross encoder, or a "
            "hub id such as 'cross-encoder/ms-marco-MiniLM-L6-v2'"
        )
    if fault := unsafe_weights(directory):
        raise RerankerError(f"{name!r} {fault}")
    _check_head(name, directory)
    return directory


def _downloaded(name: str, local_only: bool) -> Path:
    try:
        return hub_directory(name, local_only)
    except EncoderError as error:
        if local_only:
            raise RerankerError(
                f"the hub model {name!r} is not in the local cache; without local_only=True it "
                "is fetched"
            ) from error
        raise RerankerError(
            f"the hub model {name!r} is neither in the local cache nor could it be fetched: "
            f"{error.__cause__ or error}. Without a network pass a local directory"
        ) from error


def _check_head(name: str, directory: Path) -> None:
    """Refuse what would load with a head of random weights, and rank at random without a word."""
    what = f"the reranker {name!r}"
    if (directory / "modules.json").is_file():
        kind = model_kind(directory, what, RerankerError)
        if kind == "CrossEncoder":
            return
        remedy = "; unisem.load_encoder loads encoders" if kind == "SentenceTransformer" else ""
        raise RerankerError(f"{name!r} is a {kind}, which embeds, and no cross encoder{remedy}")
    named = [*architectures(directory, what, RerankerError), "none"]
    if not named[0].endswith(_HEADS):
        raise RerankerError(
            f"{name!r} has no head that scores a pair: its architecture is {named[0]}, "
            f"not one that ends in {' or '.join(_HEADS)}; train it as a cross encoder first"
        )
