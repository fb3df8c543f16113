"""What timm's picture towers of MobileCLIPs compute, each branch for itself, on random weights."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from unisem.encoders.open_clip.towers import FastVitTower, VitTower

_TRUNK = "visual.trunk."


class Drawn:
    """A checkpoint that draws a tensor when it is first asked for."""

    def __init__(self, seed: int, prefix: str = _TRUNK) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._generator = torch.Generator().manual_seed(seed)
        self._prefix = prefix

    def __call__(self, name: str, *shape: int) -> Tensor:
        name = self._prefix + name
        if name not in self.tensors:
            drawn = torch.randn(shape, generator=self._generator)
            if len(shape) > 1 and not name.endswith("gamma"):
                drawn /= drawn[0].numel() ** 0.5
            elif name.endswith("running_var"):
                drawn = drawn.abs() + 0.5
            elif "norm" in name or ".bn." in name or "identity" in name:
                drawn = 0.3 * drawn + name.endswith("weight")
            elif name.endswith("bias"):
                drawn *= 0.1  # or all pictures were nearly one
            self.tensors[name] = drawn
        assert self.tensors[name].shape == shape
        return self.tensors[name]


def vit_features(t: Drawn, tower: VitTower, pixels: Tensor, dimension: int) -> Tensor:
    """Vectors of pictures, ``(n, d)``, of timm's ``vit_base_mci_224`` and ``vit_…_clip_224``."""
    width, between, patch, eps = (
        tower.hidden_size,
        tower.stem_width,
        tower.patch_size,
        tower.layer_norm_eps,
    )
    first = t("cls_token", 1, 1, width)
    if between:
        stem = "patch_embed.backbone."
        x = functional.gelu(_conv_norm(t, f"{stem}0", pixels, between, 4, stride=4, padding=0))
        x = functional.gelu(_conv_norm(t, f"{stem}1", x, between, 2, stride=2, padding=0))
        x = _conv(t, f"{stem}2.conv", x, width, 2, stride=2, padding=0, bias=True)
        x = x.flatten(2).mT
        x = torch.cat([first.expand(len(x), 1, -1), x + t("pos_embed", 1, x.shape[1], width)], 1)
    else:
        x = _conv(t, "patch_embed.proj", pixels, width, patch, stride=patch, padding=0)
        x = torch.cat([first.expand(len(x), 1, -1), x.flatten(2).mT], 1)
        x = _norm(t, "norm_pre", x + t("pos_embed", 1, x.shape[1], width), eps)
    for layer in range(tower.num_hidden_layers):
        here = f"blocks.{layer}."
        qkv = _linear(t, f"{here}attn.qkv", _norm(t, f"{here}norm1", x, eps), 3 * width)
        seen = _attended(qkv, width // tower.num_attention_heads)
        x = x + _linear(t, f"{here}attn.proj", seen, width)
        wide = _linear(t, f"{here}mlp.fc1", _norm(t, f"{here}norm2", x, eps), 4 * width)
        x = x + _linear(t, f"{here}mlp.fc2", functional.gelu(wide), width)
    return _linear(t, "head", _norm(t, "norm", x, eps)[:, 0], dimension)


def fast_vit_features(t: Drawn, tower: FastVitTower, pixels: Tensor, dimension: int) -> Tensor:
    """The same of timm's ``fastvit_mci0`` to ``4`` (which is what is told from them)."""
    large, width = len(tower.depths) == 5, tower.width
    x = functional.gelu(_mobile_one(t, "stem.0", pixels, width, 3, 1, 2, scaled=not large))
    x = functional.gelu(_mobile_one(t, "stem.1", x, width, 3, width, 2, scaled=not large))
    x = functional.gelu(_mobile_one(t, "stem.2", x, width, 1, skips=True))
    for number, depth in enumerate(tower.depths):
        here = f"stages.{number}."
        if number:
            width *= 2
            of = f"{here}downsample.proj.0."
            groups = width // 2
            y = _conv_norm(t, f"{of}large_conv", x, width, 7, groups, 2)
            y = y + _conv_norm(t, f"{of}small_conv", x, width, 3, groups, 2)
            if number >= 2 and not large:
                y = _excited(t, f"{of}se", y, width // 4)
            y = _mobile_one(t, f"{here}downsample.proj.1", functional.gelu(y), width, 1, skips=True)
            x = functional.gelu(y)
        if number >= 3:
            x = x + _conv(t, f"{here}pos_emb.pos_enc", x, width, 7, width, bias=True)
        for block in range(depth):
            at = f"{here}blocks.{block}."
            mix = _attending if number >= 3 else _mixing
            x, gamma = mix(t, at, x, width, large)
            y = _conv_norm(t, f"{at}mlp.conv", x, width, 7, width)
            y = _conv(t, f"{at}mlp.fc1", y, tower.ratio * width, 1, bias=True)
            y = _conv(t, f"{at}mlp.fc2", functional.gelu(y), width, 1, bias=True)
            x = x + gamma * y
    x = _mobile_one(t, "final_conv", x, 2 * width, 3, width, scaled=True)
    x = functional.gelu(_excited(t, "final_conv.se", x, width // 8)).mean((2, 3))
    return _linear(t, "head.fc", x, dimension)


def _mixing(t: Drawn, at: str, x: Tensor, width: int, large: bool) -> tuple[Tensor, Tensor]:
    mixed = _mobile_one(t, f"{at}token_mixer.mixer", x, width, 3, width, scaled=True, skips=True)
    plain = _batch_norm(t, f"{at}token_mixer.norm.identity", x)
    x = x + t(f"{at}token_mixer.layer_scale.gamma", width, 1, 1) * (mixed - plain)
    return x, t(f"{at}layer_scale.gamma", width, 1, 1)


def _attending(t: Drawn, at: str, x: Tensor, width: int, large: bool) -> tuple[Tensor, Tensor]:
    if large:
        normed = _norm(t, f"{at}norm", x.permute(0, 2, 3, 1), 1e-5).flatten(1, 2)
    else:
        normed = _batch_norm(t, f"{at}norm", x).flatten(2).mT
    qkv = normed @ t(f"{at}token_mixer.qkv.weight", 3 * width, width).T
    y = _linear(t, f"{at}token_mixer.proj", _attended(qkv, 32), width)
    x = x + t(f"{at}layer_scale_1.gamma", width, 1, 1) * y.mT.reshape(x.shape)
    return x, t(f"{at}layer_scale_2.gamma", width, 1, 1)


def _mobile_one(
    t: Drawn,
    name: str,
    x: Tensor,
    out: int,
    size: int,
    groups: int = 1,
    stride: int = 1,
    *,
    scaled: bool = False,
    skips: bool = False,
) -> Tensor:
    y = _conv_norm(t, f"{name}.conv_kxk.0", x, out, size, groups, stride)
    if scaled:
        y = y + _conv_norm(t, f"{name}.conv_scale", x, out, 1, groups, stride)
    return y + _batch_norm(t, f"{name}.identity", x) if skips else y


def _conv_norm(
    t: Drawn,
    name: str,
    x: Tensor,
    out: int,
    size: int,
    groups: int = 1,
    stride: int = 1,
    padding: int | None = None,
) -> Tensor:
    y = _conv(t, f"{name}.conv", x, out, size, groups, stride, padding)
    return _batch_norm(t, f"{name}.bn", y)


def _conv(
    t: Drawn,
    name: str,
    x: Tensor,
    out: int,
    size: int,
    groups: int = 1,
    stride: int = 1,
    padding: int | None = None,
    *,
    bias: bool = False,
) -> Tensor:
    kernel = t(f"{name}.weight", out, x.shape[1] // groups, size, size)
    added = t(f"{name}.bias", out) if bias else None
    around = size // 2 if padding is None else padding
    return functional.conv2d(x, kernel, added, stride, around, groups=groups)


def _batch_norm(t: Drawn, name: str, x: Tensor) -> Tensor:
    named = ("running_mean", "running_var", "weight", "bias")
    return functional.batch_norm(x, *(t(f"{name}.{part}", x.shape[1]) for part in named))


def _norm(t: Drawn, name: str, x: Tensor, eps: float) -> Tensor:
    shape = x.shape[-1:]
    weight, bias = t(f"{name}.weight", *shape), t(f"{name}.bias", *shape)
    return functional.layer_norm(x, shape, weight, bias, eps)


def _linear(t: Drawn, name: str, x: Tensor, out: int) -> Tensor:
    return x @ t(f"{name}.weight", out, x.shape[-1]).T + t(f"{name}.bias", out)


def _attended(qkv: Tensor, head: int) -> Tensor:
    q, k, v = (one.unflatten(-1, (-1, head)).transpose(1, 2) for one in qkv.chunk(3, -1))
    return ((q @ k.mT / head**0.5).softmax(-1) @ v).transpose(1, 2).flatten(2)


def _excited(t: Drawn, name: str, x: Tensor, inner: int) -> Tensor:
    squeezed = _conv(t, f"{name}.fc1", x.mean((2, 3), keepdim=True), inner, 1, bias=True)
    return x * _conv(t, f"{name}.fc2", squeezed.relu(), x.shape[1], 1, bias=True).sigmoid()
