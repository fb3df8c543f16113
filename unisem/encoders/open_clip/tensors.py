"""`renamed`: open_clip's tensors by transformers' names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from unisem.encoders.open_clip.description import Description
from unisem.errors import EncoderError

if TYPE_CHECKING:
    from torch import Tensor

_NAMED = 5  # tensors that an error names
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
    named = _Renaming(tensors)
    prefix = "text." if "text.token_embedding.weight" in tensors else ""
    named.take("logit_scale", "logit_scale")
    named.take(f"{prefix}token_embedding.weight", "text_model.embeddings.token_embedding.weight")
    named.take(f"{prefix}positional_embedding", "text_model.embeddings.position_embedding.weight")
    named.both(f"{prefix}ln_final", "text_model.final_layer_norm")
    _own_blocks(named, f"{prefix}transformer.", "text_model.", described.text.get("layers", 12))
    if described.kind == "clip":
        named.take(f"{prefix}text_projection", "text_projection.weight", transpose=True)
        _clip_vision(named, described.vision.get("layers", 12))
        named.drop("logit_bias")
    else:
        named.both(f"{prefix}text_projection", "text_model.head")
        named.take("logit_bias", "logit_bias")
        _siglip_vision(named)
        for scalar in ("logit_scale", "logit_bias"):
            if scalar in named.found:
                named.found[scalar] = named.found[scalar].reshape(1)
    for name in _BUFFERS:
        named.drop(name)
    named.check(directory)
    return named.found


def _clip_vision(named: _Renaming, layers: int) -> None:
    to = "vision_model."
    named.take("visual.class_embedding", f"{to}embeddings.class_embedding")
    named.take("visual.conv1.weight", f"{to}embeddings.patch_embedding.weight")
    named.take("visual.positional_embedding", f"{to}embeddings.position_embedding.weight")
    named.both("visual.ln_pre", f"{to}pre_layrnorm")  # transformers' spelling
    named.both("visual.ln_post", f"{to}post_layernorm")
    named.take("visual.proj", "visual_projection.weight", transpose=True)
    _own_blocks(named, "visual.transformer.", to, layers)


def _siglip_vision(named: _Renaming) -> None:
    of, to = "visual.trunk.", "vision_model."
    named.both(f"{of}patch_embed.proj", f"{to}embeddings.patch_embedding")
    named.take(f"{of}pos_embed", f"{to}embeddings.position_embedding.weight", squeeze=True)
    layer = 0
    while f"{of}blocks.{layer}.norm1.weight" in named.tensors:
        here, there = f"{of}blocks.{layer}.", f"{to}encoder.layers.{layer}."
        for part in ("weight", "bias"):
            named.split(f"{here}attn.qkv.{part}", there, part)
        for theirs, ours in _TIMM_BLOCK.items():
            named.both(f"{here}{theirs}", f"{there}{ours}")
        layer += 1
    named.both(f"{of}norm", f"{to}post_layernorm")
    named.take(f"{of}attn_pool.latent", f"{to}head.probe")
    for part in ("weight", "bias"):
        named.join(
            [f"{of}attn_pool.q.{part}", f"{of}attn_pool.kv.{part}"],
            f"{to}head.attention.in_proj_{part}",
        )
    for theirs, ours in _HEAD.items():
        named.both(f"{of}{theirs}", f"{to}{ours}")


def _own_blocks(named: _Renaming, of: str, to: str, layers: int) -> None:
    for layer in range(layers):
        here, there = f"{of}resblocks.{layer}.", f"{to}encoder.layers.{layer}."
        for part in ("weight", "bias"):
            named.split(f"{here}attn.in_proj_{part}", there, part)
        for theirs, ours in _BLOCK.items():
            named.both(f"{here}{theirs}", f"{there}{ours}")


class _Renaming:
    """Tensors that were found, and which are missing."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors
        self.found: dict[str, Tensor] = {}
        self._used: set[str] = set()
        self._missing: list[str] = []

    def _get(self, name: str) -> Tensor | None:
        self._used.add(name)
        if name not in self.tensors:
            self._missing.append(name)
        return self.tensors.get(name)

    def take(self, name: str, new: str, *, transpose: bool = False, squeeze: bool = False) -> None:
        if (tensor := self._get(name)) is not None:
            tensor = tensor.T if transpose else tensor
            self.found[new] = (tensor[0] if squeeze else tensor).contiguous()

    def both(self, name: str, new: str) -> None:
        for part in ("weight", "bias"):
            self.take(f"{name}.{part}", f"{new}.{part}")

    def split(self, name: str, layer: str, part: str) -> None:
        """Queries, keys and values are three thirds of one tensor."""
        if (tensor := self._get(name)) is not None:
            for which, third in zip("qkv", tensor.chunk(3), strict=False):
                self.found[f"{layer}self_attn.{which}_proj.{part}"] = third.contiguous()

    def join(self, names: list[str], new: str) -> None:
        import torch

        parts = [tensor for name in names if (tensor := self._get(name)) is not None]
        if len(parts) == len(names):
            self.found[new] = torch.cat(parts)

    def drop(self, name: str) -> None:
        self._used.add(name)

    def check(self, directory: Path) -> None:
        unknown = sorted(self.tensors.keys() - self._used)
        for names, fate in ((self._missing, "lacks"), (unknown, "has, which is not understood,")):
            if names:
                more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
                raise EncoderError(
                    f"{directory}'s checkpoint {fate} {', '.join(names[:_NAMED])}{more}; its "
                    "weights and open_clip_config.json do not belong together, or it is no CLIP"
                )
