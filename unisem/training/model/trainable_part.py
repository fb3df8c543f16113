"""The part of a model that is trained, without the frozen modules whose outputs are stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Module, Router

from unisem.training.model.modality_parts import Modality, shared_tail, side_modules


class Given(Module):  # type: ignore[misc]
    """Passes on a ``sentence_embedding`` that was computed before."""

    def forward(self, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Return the features as they are."""
        return features

    def save(self, output_path: str, *arguments: Any, **options: Any) -> None:
        """Refuse: what is saved is the whole model."""
        raise NotImplementedError("a training view is not saved; save the whole model")


def training_view(model: Any, stored: Mapping[Modality, int]) -> Any:
    """A model that shares its modules with another and begins where stored outputs end.

    Args:
        model: The whole model, a ``SentenceTransformer``.
        stored: For a side whose first modules' outputs are stored, how many modules that is. An
            output is the feature ``sentence_embedding``.

    Returns:
        The model itself if nothing is stored; else a ``SentenceTransformer`` of the same modules,
        for features whose ``modality`` says which side they belong to.
    """
    if not stored:
        return model
    sides: dict[str, list[Any]] = {}
    for side in ("text", "image"):
        modules = side_modules(model, side)
        depth = stored.get(side)
        sides[side] = modules if depth is None else [Given(), *modules[depth:]]
    router = Router(
        sides, route_mappings={(None, side): side for side in sides}, allow_empty_key=False
    )
    return SentenceTransformer(modules=[router, *shared_tail(model)], device=str(model.device))
