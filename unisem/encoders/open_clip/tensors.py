"""`renamed`: open_clip's tensors by transformers' names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from unisem.encoders.open_clip.description import Description
from unisem.encoders.open_clip.folding import fold_fast_vit, fold_stem
from unisem.encoders.open_clip.renaming import Renaming
from unisem.encoders.open_clip.towers import FastVitTower, VitTower

if TYPE_CHECKING:
    from torch import Tensor

_BUFFERS = ("attn_mask", "text.attn_mask")  # which older versions have stored
_BLOCK = {  # of open_clip's towers
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_TIMM_BLOCK = {
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "attn.proj": "self_attn.out_proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_HEAD = {
    "attn_pool.proj": "head.attention.out_proj",
    "attn_pool.norm": "head.layernorm",
    "attn_pool.mlp.fc1": "head.mlp.fc1",
    "attn_pool.mlp.fc2": "head.mlp.fc2",
}


def renamed(
    tensors: Mapping[str, Tensor], described: Description, directory: Path
) -> dict[str, Tensor]:
    """Every tensor of transformers' model, from one of open_clip's.

    Args:
        tensors: All of a checkpoint.
        described: What it is.
        directory: Where it is from, for errors.

    Raises:
        EncoderError: A tensor is missing, or one is there that is not understood.
    """
    named = Renaming(tensors, directory)
    prefix = "text." if "text.token_embedding.weight" in tensors else ""
    named.take("logit_scale", "logit_scale")
    named.take(f"{prefix}token_embedding.weight", "text_model.embeddings.token_embedding.weight")
    named.take(f"{prefix}positional_embedding", "text_model.embeddings.position_embedding.weight")
    named.both(f"{prefix}ln_final", "text_model.final_layer_norm")
    _own_blocks(named, f"{prefix}transformer.", "text_model.", described.text.get("layers", 12))
    if described.kind == "siglip":
        named.both(f"{prefix}text_projection", "text_model.head")
        named.take("logit_bias", "logit_bias")
        _siglip_vision(named)
        for scalar in ("logit_scale", "logit_bias"):
            if scalar in named.found:
                named.found[scalar] = named.found[scalar].reshape(1)
    else:
        named.take(f"{prefix}text_projection", "text_projection.weight", transpose=True)
        named.drop("logit_bias")
        match described.tower:
            case None:
                _clip_vision(named, described.vision.get("layers", 12))
            case FastVitTower() as tower:
                fold_fast_vit(named, tower)
            case VitTower() as tower:
                _vit(named, tower)
    for name in _BUFFERS:
        named.drop(name)
    named.check()
    return named.found


def _clip_vision(named: Renaming, layers: int) -> None:
    to = "vision_model."
    named.take("visual.class_embedding", f"{to}embeddings.class_embedding")
    named.take("visual.conv1.weight", f"{to}embeddings.patch_embedding.weight")
    named.take("visual.positional_embedding", f"{to}embeddings.position_embedding.weight")
    named.both("visual.ln_pre", f"{to}pre_layrnorm")  # transformers' spelling
    named.both("visual.ln_post", f"{to}post_layernorm")
    named.take("visual.proj", "visual_projection.weight", transpose=True)
    _own_blocks(named, "visual.transformer.", to, layers)


def _vit(named: Renaming, tower: VitTower) -> None:
    of, to = "visual.trunk.", "vision_model."
    if tower.stem_width:
        fold_stem(named, tower)
    else:
        named.take(f"{of}patch_embed.proj.weight", f"{to}embeddings.patch_embedding.weight")
        named.both(f"{of}norm_pre", f"{to}pre_layrnorm")
    named.take(f"{of}cls_token", f"{to}embeddings.class_embedding", squeeze=True)
    if (first := named.found.get(f"{to}embeddings.class_embedding")) is not None:
        named.found[f"{to}embeddings.class_embedding"] = first.flatten()
    named.take(f"{of}pos_embed", f"{to}embeddings.position_embedding.weight", squeeze=True)
    _timm_blocks(named, of, to, tower.num_hidden_layers)
    named.both(f"{of}norm", f"{to}post_layernorm")
    named.both(f"{of}head", "visual_projection")


def _siglip_vision(named: Renaming) -> None:
    of, to = "visual.trunk.", "vision_model."
    named.both(f"{of}patch_embed.proj", f"{to}embeddings.patch_embedding")
    named.take(f"{of}pos_embed", f"{to}embeddings.position_embedding.weight", squeeze=True)
    layers = 0
    while f"{of}blocks.{layers}.norm1.weight" in named.tensors:
        layers += 1
    _timm_blocks(named, of, to, layers)
    named.both(f"{of}norm", f"{to}post_layernorm")
    named.take(f"{of}attn_pool.latent", f"{to}head.probe")
    for part in ("weight", "bias"):
        named.join(
            [f"{of}attn_pool.q.{part}", f"{of}attn_pool.kv.{part}"],
            f"{to}head.attention.in_proj_{part}",
        )
    for theirs, ours in _HEAD.items():
        named.both(f"{of}{theirs}", f"{to}{ours}")


def _timm_blocks(named: Renaming, of: str, to: str, layers: int) -> None:
    for layer in range(layers):
        here, there = f"{of}blocks.{layer}.", f"{to}encoder.layers.{layer}."
        for part in ("weight", "bias"):
            named.split(f"{here}attn.qkv.{part}", there, part)
        for theirs, ours in _TIMM_BLOCK.items():
            named.both(f"{here}{theirs}", f"{there}{ours}")


def _own_blocks(named: Renaming, of: str, to: str, layers: int) -> None:
    for layer in range(layers):
        here, there = f"{of}resblocks.{layer}.", f"{to}encoder.layers.{layer}."
        for part in ("weight", "bias"):
            named.split(f"{here}attn.in_proj_{part}", there, part)
        for theirs, ours in _BLOCK.items():
            named.both(f"{here}{theirs}", f"{there}{ours}")
