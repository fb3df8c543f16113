"""`with_token_vectors`: an encoder that gives a vector for every token, to be trained as such."""

from __future__ import annotations

import copy
from typing import Any, get_args

import torch
from PIL import Image
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Module, Normalize, Router
from sentence_transformers.sentence_transformer.modules import Pooling
from sentence_transformers.util import batch_to_device
from torch import nn

from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.encoders.sides import is_joint, side_modules
from unisem.errors import TrainingError
from unisem.records import Modality
from unisem.training.model.modality_parts import shared_tail

_TOKENS = "token_embeddings"


class TokenVectors(Module):  # type: ignore[misc]
    """Gives unit token vectors as ``sentence_embedding``, ``(n, t, w)``, zeros where none is."""

    def forward(self, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Copy the vectors that the mask names; without a mask every place is one."""
        vectors = features[_TOKENS]
        mask = features.get("attention_mask")
        kept = vectors if mask is None else vectors * mask[..., None].to(vectors.dtype)
        return features | {"sentence_embedding": kept}

    def save(self, output_path: str, *arguments: Any, **options: Any) -> None:
        """Refuse: `multi_vector_encoder` is what is saved."""
        raise NotImplementedError("a model in training is not saved; save its multi-vector encoder")


def with_token_vectors(
    encoder: SentenceTransformerEncoder, width: int, seed: int = 0
) -> SentenceTransformerEncoder:
    """Make late interaction of an encoder of one vector: without pooling, with projections.

    Of each side its network and the layers behind that stay, applied to every token or place. A
    linear projection to ``width`` numbers, without bias, comes behind (ColBERT, section 3.2), if
    the last layer there does not give as many already. Projections begin random and orthogonal, the
    same one on sides of the same width, so that what was near stays about as near.

    Args:
        encoder: The start model, which is not changed; its networks' weights are shared.
        width: Numbers in a token's vector.
        seed: Decides the projections.

    Raises:
        TrainingError: Its token vectors cannot be had, or something else than layers of numbers
            stands behind them.
    """
    model = encoder.model
    sides = {side: _side(encoder, side) for side in get_args(Modality) if model.supports(side)}
    if not isinstance(next(model.children()), Router):
        sides = {side: modules for side, modules in sides.items() if side == next(iter(sides))}
    with torch.random.fork_rng():
        for side, modules in sides.items():
            modules += [_over_tokens(encoder, it) for it in shared_tail(model) if not _pools(it)]
            last = modules[-1]
            if isinstance(last, Dense) and last.out_features == width:
                continue
            found = _tokens(encoder, modules, side)
            torch.manual_seed(seed)
            projection = Dense(found, width, bias=False, activation_function=None, **_in_place())
            nn.init.orthogonal_(projection.linear.weight)
            modules.append(projection)
    if isinstance(next(model.children()), Router):
        first = [Router(sides, route_mappings={(None, side): side for side in sides})]
    else:
        (first,) = sides.values()
    made = SentenceTransformer(
        modules=[*first, Normalize(_TOKENS), TokenVectors()],
        device=str(model.device),
        prompts={role: encoder.prompt(role) for role in ("query", "document")},
    )
    changed = SentenceTransformerEncoder(
        encoder.name, encoder.directory, device=str(model.device), options=encoder.options
    )
    changed._model = made
    return changed


def gives_tokens(model: Any) -> bool:
    """Whether a model is one that `with_token_vectors` made."""
    return isinstance(list(model.children())[-1], TokenVectors)


def multi_vector_encoder(model: Any) -> Any:
    """What is saved of a model that `with_token_vectors` made: a ``MultiVectorEncoder``."""
    return MultiVectorEncoder(
        modules=list(model.children())[:-1],
        device=str(model.device),
        prompts={role: text for role, text in model.prompts.items() if text},
        similarity_fn_name="meanmaxsim",
    )


def _side(encoder: SentenceTransformerEncoder, side: Modality) -> list[Any]:
    """A side's network and layers, over tokens."""
    network: Any
    network, *layers = side_modules(encoder.model, side)
    if not hasattr(network, "auto_model") or is_joint(network.auto_model):
        raise TrainingError(
            f"the encoder {encoder.name!r} has no network of its own for {_named(side)} whose "
            "token vectors could be trained; start from two networks (--text-tower, "
            "--image-tower) or from mini"
        )
    if network.module_output_name != _TOKENS:
        network = copy.copy(network)  # shares weights, and is told other things
        network.modality_config = {
            side: {"method": "forward", "method_output_name": "last_hidden_state"}
        }
        network.module_output_name = _TOKENS
    return [network, *(_over_tokens(encoder, it) for it in layers if not _pools(it))]


def _pools(module: nn.Module) -> bool:
    return isinstance(module, Pooling | Normalize)


def _over_tokens(encoder: SentenceTransformerEncoder, module: nn.Module) -> Any:
    if not isinstance(module, Dense):
        raise TrainingError(
            f"the encoder {encoder.name!r} has a {type(module).__name__}, which is known for one "
            "vector and not for token vectors; start from another encoder"
        )
    changed = copy.copy(module)
    for name, value in _in_place().items():
        setattr(changed, name, value)
    return changed


def _in_place() -> dict[str, str]:
    return {"module_input_name": _TOKENS, "module_output_name": _TOKENS}


def _tokens(encoder: SentenceTransformerEncoder, modules: list[nn.Module], side: Modality) -> int:
    """The width of the token vectors that modules give."""
    probe: dict[str, Any] = {"text": "a"}
    if side == "image":
        probe = {"image": Image.new("RGB", (64, 64))}
    features = encoder.model.preprocess([probe])
    features = batch_to_device(features, encoder.model.device)
    with torch.inference_mode():
        for module in modules:
            features = module.eval()(features)
    return int(features[_TOKENS].shape[-1])


def _named(side: Modality) -> str:
    return "texts" if side == "text" else "pictures"
