"""`load_reranker`: what a model's directory holds decides which reranker it becomes."""

from __future__ import annotations

import os
from typing import Any

from unisem.errors import RerankerError
from unisem.models.finding import find_model
from unisem.models.model_kind import model_kind
from unisem.rerank.base import Reranker
from unisem.rerank.blip import BlipReranker
from unisem.rerank.cross_encoder import Activation, CrossEncoderReranker, refuse_headless
from unisem.rerank.late_interaction import LateInteractionReranker
from unisem.rerank.local_reranker import LocalReranker

_OTHERS: dict[str, type[LocalReranker]] = {
    "MultiVectorEncoder": LateInteractionReranker,
    "ImageTextMatching": BlipReranker,
}


def load_reranker(
    name: str | os.PathLike[str] | Reranker,
    *,
    device: str | None = None,
    dtype: str = "float32",
    activation: Activation = "model",
    batch_size: int = 16,
    image_side: int = 1024,
    max_length: int | None = None,
    local_only: bool = False,
) -> Reranker:
    """Find a reranker by name; weights are loaded when it first scores.

    Args:
        name: A directory with a cross encoder, a late-interaction model or a BLIP that matches
            texts and pictures, or a hub id, optionally ``owner/name@revision``. A `Reranker` is
            returned as it is.
        device: ``"cpu"``, ``"cuda"``, ``"mps"`` …; the best one present if ``None``.
        dtype: ``"float32"``, ``"float16"`` or ``"bfloat16"``.
        activation: As of `CrossEncoderReranker`; of no other kind.
        batch_size: As of `LocalReranker`.
        image_side: As of `LocalReranker`.
        max_length: As of `CrossEncoderReranker`; of no other kind.
        local_only: Look for a hub id in the local cache and nowhere else.

    Raises:
        RerankerError: No such model, one of no such kind, or one whose weights are not
            safetensors.
        ValueError: An argument is out of range, or is none of this kind of model.
    """
    if isinstance(name, Reranker):
        return name
    found = os.fspath(name)
    directory = find_model(
        found,
        "reranker",
        RerankerError,
        example="cross-encoder/ms-marco-MiniLM-L6-v2",
        local_only=local_only,
    )
    kind = model_kind(directory, f"the reranker {found!r}", RerankerError)
    common: dict[str, Any] = {
        "device": device,
        "dtype": dtype,
        "batch_size": batch_size,
        "image_side": image_side,
    }
    if kind in _OTHERS:
        if activation != "model" or max_length is not None:
            raise ValueError(f"activation and max_length are for cross encoders; {found!r} is none")
        return _OTHERS[kind](found, directory, **common)
    if kind not in (None, "CrossEncoder"):
        remedy = "; unisem.load_encoder loads encoders" if kind == "SentenceTransformer" else ""
        raise RerankerError(f"{found!r} is a {kind}, which embeds, and no reranker{remedy}")
    if not (directory / "modules.json").is_file():
        refuse_headless(found, directory)
    return CrossEncoderReranker(
        found, directory, **common, activation=activation, max_length=max_length
    )
