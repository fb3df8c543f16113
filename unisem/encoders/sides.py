"""The sides of a model: which of its modules a text passes, and which a picture."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.models.finding import fingerprint_model, preparation_of
from unisem.records import Modality

if TYPE_CHECKING:
    from torch import nn

_TASKS = {"text": "query", "image": "document"}


def side_modules(model: Any, modality: Modality) -> list[nn.Module]:
    """The modules that inputs of one modality pass before the modules that both sides share.

    Args:
        model: A ``SentenceTransformer``: a ``Router`` with a route per modality and modules after
            it, or modules that take both modalities.
        modality: Which side.

    Returns:
        None for a router that has no such side.
    """
    from sentence_transformers.base.modules import Router

    modules = list(model.children())
    if not isinstance(modules[0], Router):
        return modules
    try:
        route = modules[0]._resolve_route(task=_TASKS[modality], modality=modality)
    except ValueError:
        return []
    return list(modules[0].sub_modules[route])


def has_two_text_sides(model: Any) -> bool:
    """Whether texts that ask pass other modules than texts that are found."""
    from sentence_transformers.base.modules import Router

    first = next(model.children())
    if not isinstance(first, Router) or not model.supports("text"):
        return False
    asks, is_found = (
        first._resolve_route(task=task, modality="text") for task in ("query", "document")
    )
    return bool(asks != is_found)


def is_joint(inner: Any) -> bool:
    """Whether a network has a text half and a picture half, as CLIP and SigLIP have."""
    return hasattr(inner, "text_model") and hasattr(inner, "vision_model")


def side_fingerprint(encoder: SentenceTransformerEncoder, modality: Modality, depth: int) -> str:
    """Hex digest of what decides the outputs of a model's first modules.

    That is the files of these modules alone, where they have folders of their own (the routes of a
    ``Router``): training the head makes no output of the network before it old.

    Args:
        encoder: The encoder as it was loaded; its files say what its weights are.
        modality: Which side.
        depth: How many of its modules.
    """
    version = preparation_of(encoder.directory).versions.get("prompts")
    return _digest(encoder, modality, depth, encoder.fingerprint, version)


def former_side_fingerprint(
    encoder: SentenceTransformerEncoder, modality: Modality, depth: int
) -> str | None:
    """What `side_fingerprint` was before inputs were prepared for the model as they are now.

    ``None`` if they always were; see `Encoder.former_fingerprint`.
    """
    former = encoder.former_fingerprint
    return None if former is None else _digest(encoder, modality, depth, former, None)


def _digest(
    encoder: SentenceTransformerEncoder,
    modality: Modality,
    depth: int,
    whole: str,
    version: int | None,
) -> str:
    """See `side_fingerprint`, with the whole model's digest, and the version of its prompts."""
    digest = hashlib.sha256()
    for number, module in enumerate(side_modules(encoder.model, modality)[:depth]):
        folder = encoder.directory / f"{modality}_{number}_{type(module).__name__}"
        if not folder.is_dir():
            return whole
        digest.update(fingerprint_model(folder).encode())
    ours = encoder.directory / "unisem_config.json"
    digest.update(ours.read_bytes() if ours.is_file() else b"")
    prompts = json.dumps(encoder.model.prompts, sort_keys=True)
    digest.update(prompts.encode())
    digest.update((encoder.model.default_prompt_name or "").encode())
    # Before a picture there is a prompt only where both are written into a message.
    if version is not None and (modality == "text" or encoder.model.supports("message")):
        digest.update(f"prompts {version}".encode())
    if modality == "image" and (most := encoder.options.max_pixels) is not None:
        digest.update(f"max_pixels {most}".encode())
    return digest.hexdigest()
