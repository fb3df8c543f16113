"""`configuration`: a converted model's settings, as transformers writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from unisem.encoders.open_clip.description import Description

if TYPE_CHECKING:
    from torch import Tensor


def configuration(tensors: Mapping[str, Tensor], described: Description) -> Any:
    """What `network` is made by; sizes are the tensors' own, but a MobileCLIP's picture tower's.

    Args:
        tensors: From `unisem.encoders.open_clip.tensors.renamed`.
        described: What they are.
    """
    model = network(described)
    return model.config_class(
        text_config=_text(tensors, described),
        vision_config=_vision(tensors, described),
        architectures=[model.__name__],
        dtype=str(tensors["logit_scale"].dtype).removeprefix("torch."),
        projection_dim=described.dimension,  # of a SigLIP, it tells sentence-transformers the size
    )


def network(described: Description) -> Any:
    """The class of transformers', or ours, that computes it."""
    from transformers import CLIPModel, SiglipModel

    if described.kind == "mobile_clip":
        from unisem.encoders.open_clip.mobile_clip import MobileClip

        return MobileClip
    return CLIPModel if described.kind == "clip" else SiglipModel


def _text(tensors: Mapping[str, Tensor], described: Description) -> dict[str, Any]:
    """Transformers' settings of the text tower; sizes are the tensors' own."""
    embeddings = "text_model.embeddings."
    settings = _sizes(tensors, "text_model", described.text, 1e-5) | {
        "num_attention_heads": described.text.get("heads", 8),
        "hidden_act": described.text_act,
        "vocab_size": tensors[f"{embeddings}token_embedding.weight"].shape[0],
        "max_position_embeddings": tensors[f"{embeddings}position_embedding.weight"].shape[0],
    }
    if described.kind == "siglip":
        settings["projection_size"] = described.dimension
    elif described.kind == "mobile_clip":
        settings["both_ways"] = bool(described.text.get("no_causal_mask"))
    return settings


def _vision(tensors: Mapping[str, Tensor], described: Description) -> dict[str, Any]:
    """The same of the picture tower."""
    side = described.vision.get("image_size", 224)
    side = side[0] if isinstance(side, list) and len(set(side)) == 1 else side
    if described.tower is not None:
        return described.tower.settings | {"image_size": side, "hidden_act": described.vision_act}
    usual = 1e-5 if described.kind == "clip" else 1e-6
    return _sizes(tensors, "vision_model", described.vision, usual) | {
        "num_attention_heads": described.vision_heads,
        "hidden_act": described.vision_act,
        "patch_size": tensors["vision_model.embeddings.patch_embedding.weight"].shape[-1],
        "image_size": side,
    }


def _sizes(
    tensors: Mapping[str, Tensor], tower: str, part: Mapping[str, Any], usual_eps: float
) -> dict[str, Any]:
    layer = f"{tower}.encoder.layers."
    wide = tensors[f"{layer}0.mlp.fc1.weight"]
    count = {name.removeprefix(layer).partition(".")[0] for name in tensors if layer in name}
    return {
        "hidden_size": wide.shape[1],
        "intermediate_size": wide.shape[0],
        "num_hidden_layers": len(count),
        "layer_norm_eps": (part.get("norm_kwargs") or {}).get("eps", usual_eps),
    }
