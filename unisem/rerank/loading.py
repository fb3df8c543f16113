"""`load_reranker`: what a model's directory holds decides which reranker it becomes."""

from __future__ import annotations

import os

from unisem.encoders.base import Encoder
from unisem.errors import RerankerError
from unisem.models.finding import find_model
from unisem.models.model_kind import model_kind
from unisem.rerank.base import Reranker
from unisem.rerank.blip import BlipReranker
from unisem.rerank.cross_encoder import Activation, CrossEncoderReranker, refuse_headless
from unisem.rerank.cross_modal.reranker import CrossModalReranker
from unisem.rerank.late_interaction import LateInteractionReranker

_OTHERS = ("MultiVectorEncoder", "ImageTextMatching", "unisem-cross-modal")


def load_reranker(
    name: str | os.PathLike[str] | Reranker,
    *,
    device: str | None = None,
    dtype: str = "float32",
    activation: Activation = "model",
    batch_size: int | None = None,
    image_side: int = 1024,
    max_length: int | None = None,
    pool_factor: int | None = None,
    encoder: Encoder | None = None,
    local_only: bool = False,
) -> Reranker:
    """Find a reranker by name; weights are loaded when it first scores.

    Args:
        name: A directory with a cross encoder, a late-interaction model, a BLIP that matches texts
            and pictures, or what ``unisem train-reranker`` wrote; or a hub id, optionally
            ``owner/name@revision``. A `Reranker` is returned as it is.
        device: ``"cpu"``, ``"cuda"``, ``"mps"`` …; the best one present if ``None``.
        dtype: ``"float32"``, ``"float16"`` or ``"bfloat16"``.
        activation: As of `CrossEncoderReranker`; of no other kind.
        batch_size: Pairs that go through the model at once; 16, or what suits the kind.
        image_side: As of `LocalReranker`.
        max_length: As of `CrossEncoderReranker`; of no other kind.
        pool_factor: As of `LateInteractionReranker`; of no other kind.
        encoder: A space's, which a `CrossModalReranker` shares if it was trained with that; other
            kinds have no use for it.
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
    if kind in (None, "CrossEncoder"):
        if not (directory / "modules.json").is_file():
            refuse_headless(found, directory)
        kind = "CrossEncoder"
    elif kind not in _OTHERS:
        remedy = "; unisem.load_encoder loads encoders" if kind == "SentenceTransformer" else ""
        raise RerankerError(f"{found!r} is a {kind}, which embeds, and no reranker{remedy}")
    strange = {
        "activation": kind != "CrossEncoder" and activation != "model",
        "max_length": kind != "CrossEncoder" and max_length is not None,
        "pool_factor": kind != "MultiVectorEncoder" and pool_factor is not None,
    }
    if refused := [setting for setting, is_refused in strange.items() if is_refused]:
        raise ValueError(f"{found!r} is a {kind} and has no {' and no '.join(refused)}")
    size = {} if batch_size is None else {"batch_size": batch_size}
    if kind == "unisem-cross-modal":
        return CrossModalReranker(
            found, directory, encoder=encoder, device=device, dtype=dtype, **size
        )
    if kind == "CrossEncoder":
        return CrossEncoderReranker(
            found,
            directory,
            device=device,
            dtype=dtype,
            activation=activation,
            image_side=image_side,
            max_length=max_length,
            **size,
        )
    if kind == "MultiVectorEncoder":
        return LateInteractionReranker(
            found,
            directory,
            device=device,
            dtype=dtype,
            image_side=image_side,
            pool_factor=pool_factor,
            **size,
        )
    return BlipReranker(found, directory, device=device, dtype=dtype, image_side=image_side, **size)
