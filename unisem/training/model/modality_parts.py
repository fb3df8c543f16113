"""Freezing parts of a model, and the view of it that is trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Module, Router
from torch import nn

from unisem.encoders.sides import is_joint, side_modules
from unisem.errors import TrainingError
from unisem.records import Modality
from unisem.training.settings import Part

# How transformers name the halves of a joint model (CLIP, SigLIP, AltCLIP, ALIGN, CLAP …).
_PREFIXES = {
    "text": ("text_model.", "text_projection."),
    "image": ("vision_model.", "visual_projection."),
}
_BACKBONES = {"text": ("text_model.",), "image": ("vision_model.",)}


def shared_tail(model: Any) -> list[nn.Module]:
    """The modules after a ``Router``; none where there is no router."""
    modules = list(model.children())
    return modules[1:] if isinstance(modules[0], Router) else []


def side_parameters(module: nn.Module, modality: Modality) -> Iterator[nn.Parameter]:
    """The parameters of a module of a side that this modality's inputs meet."""
    inner = getattr(module, "auto_model", None)
    if inner is None or not is_joint(inner):
        yield from module.parameters()
        return
    for name, parameter in inner.named_parameters():
        if name.startswith(_PREFIXES[modality]):
            yield parameter


def backbone_parameters(module: nn.Module, modality: Modality) -> Iterator[nn.Parameter]:
    """The parameters of a pretrained network among a side's modules, projections left out."""
    inner = getattr(module, "auto_model", None)
    if inner is None:
        return
    for name, parameter in inner.named_parameters():
        if not is_joint(inner) or name.startswith(_BACKBONES[modality]):
            yield parameter


def default_parts(model: Any) -> tuple[Part, ...]:
    """What is frozen unless a user says otherwise.

    The backbones, if the image side has a head after its backbone to train, and a backbone of its
    own; else nothing. Of a model that takes texts only, its text side counts.
    """
    sides = _sides(model)
    if len(sides) == 2 and _one_network(*(side_modules(model, side) for side in sides)):
        return ()
    for module in side_modules(model, sides[-1]):
        if getattr(module, "auto_model", None) is None and any(True for _ in module.parameters()):
            return ("text-backbone", "image-backbone")
    return ()


def freeze(model: Any, parts: Iterable[Part]) -> None:
    """Make exactly the other parts trainable.

    Freezing one whole side is LiT (Zhai et al. 2022, "LiT: Zero-Shot Transfer with Locked-image
    text Tuning", https://arxiv.org/abs/2111.07991).

    Args:
        model: A ``SentenceTransformer``.
        parts: ``text`` and ``image`` are whole sides, ``…-backbone`` the network without the
            modules after it.

    Raises:
        TrainingError: Unknown part, nothing left to train, or a side that cannot be told apart.
    """
    parts = set(parts)
    if unknown := parts - set(get_args(Part)):
        raise TrainingError(
            f"cannot freeze {', '.join(sorted(unknown))}; parts are {', '.join(get_args(Part))}"
        )
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    sides = _sides(model)
    modules = {side: side_modules(model, side) for side in sides}
    if parts and len(sides) == 2 and _one_network(*modules.values()):
        raise TrainingError(
            "this model has one network for texts and pictures, so neither side can be frozen"
        )
    for side in sides:
        if side in parts:
            continue
        frozen = {
            id(parameter)
            for module in modules[side]
            for parameter in backbone_parameters(module, side)
            if f"{side}-backbone" in parts
        }
        for module in modules[side]:
            for parameter in side_parameters(module, side):
                if parameter.is_floating_point():
                    parameter.requires_grad_(id(parameter) not in frozen)
    for module in shared_tail(model):
        module.requires_grad_(True)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise TrainingError(
            f"with {', '.join(sorted(parts))} frozen nothing is left to train; freeze less"
        )


def _sides(model: Any) -> tuple[Modality, ...]:
    """The modalities that a model takes."""
    return tuple(side for side in get_args(Modality) if model.supports(side))


def _one_network(texts: list[nn.Module], images: list[nn.Module]) -> bool:
    """Whether one network, without halves, takes both."""
    return any(
        one is other and hasattr(one, "auto_model") and not is_joint(one.auto_model)
        for one in texts
        for other in images
    )


def frozen_depth(model: Any, modality: Modality) -> int:
    """How many modules at the beginning of a side have nothing to train."""
    depth = 0
    for module in side_modules(model, modality):
        if any(parameter.requires_grad for parameter in side_parameters(module, modality)):
            break
        depth += 1
    return depth


def only_heads(model: nn.Module) -> bool:
    """Whether no parameter of a network is trained, so that training is quick."""
    return not any(
        parameter.requires_grad
        for module in model.modules()
        if getattr(module, "auto_model", None) is not None
        for parameter in module.parameters()
    )


class Given(Module):  # type: ignore[misc]
    """Passes on a ``sentence_embedding``, or one for every token, that was computed before."""

    def forward(self, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Return the features, those of tokens under their name."""
        vectors = features["sentence_embedding"]
        return features if vectors.dim() == 2 else features | {"token_embeddings": vectors}

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
    for side in _sides(model):
        modules = side_modules(model, side)
        depth = stored.get(side)
        sides[side] = modules if depth is None else [Given(), *modules[depth:]]
    router = Router(
        sides, route_mappings={(None, side): side for side in sides}, allow_empty_key=False
    )
    return SentenceTransformer(modules=[router, *shared_tail(model)], device=str(model.device))
