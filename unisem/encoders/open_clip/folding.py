"""`fold_fast_vit`, `fold_stem`: timm's tensors of many branches as one convolution each.

A convolution without bias and the batch norm behind it are a convolution with one:
``(w * x - mean) / sqrt(var + eps) * gamma + beta`` has the kernel ``w * s`` and the bias
``beta - mean * s``, where ``s = gamma / sqrt(var + eps)``. Branches that are added are kernels that
are added, smaller ones in the middle of larger ones; a batch norm alone is one over the kernel that
changes nothing. All of it is computed in float64. A block that its makers have folded
(``reparam_conv``) is taken as it is.

Source: RepVGG, https://arxiv.org/abs/2101.03697, section 3.3; FastViT,
https://arxiv.org/abs/2303.14189, section 3; timm, ``fastvit.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from unisem.encoders.open_clip.renaming import Renaming
from unisem.encoders.open_clip.towers import FastVitTower, VitTower

if TYPE_CHECKING:
    from torch import Tensor

_EPS = 1e-5  # of every batch norm
_TRUNK = "visual.trunk."
_TOWER = "vision_model."


class _Shape(NamedTuple):
    """Of a kernel, as torch has them."""

    out: int
    within: int  # channels that each channel that comes out is made of
    size: int

    def of(self, size: int) -> tuple[int, int, int, int]:
        return self.out, self.within, size, size


def fold_fast_vit(named: Renaming, tower: FastVitTower) -> None:
    """Keep a FastViT's picture tower, and its head as the projection."""
    first, wide = tower.width, tower.width << len(tower.depths)
    scaled = not tower.is_large  # the stem's branch of single pixels
    stem, to = f"{_TRUNK}stem.", f"{_TOWER}stem."
    _block(named, f"{stem}0", f"{to}0", _Shape(first, 3, 3), scaled=scaled)
    _block(named, f"{stem}1", f"{to}2", _Shape(first, 1, 3), scaled=scaled)
    _block(named, f"{stem}2", f"{to}4", _Shape(first, first, 1), skips=True)
    for number, stage in enumerate(tower.stages):
        here, there = f"{_TRUNK}stages.{number}.", f"{_TOWER}stages.{number}."
        width = stage["width"]
        if number:
            of, to = f"{here}downsample.proj.", f"{there}halve."
            _halving(named, f"{of}0", f"{to}large", _Shape(width, 1, 7))
            if stage["excited"]:
                _excitation(named, f"{of}0.se", f"{to}excite")
            _block(named, f"{of}1", f"{to}point", _Shape(width, width, 1), skips=True)
        if stage["positions"]:
            _positions(named, f"{here}pos_emb", f"{there}positions", _Shape(width, 1, 7))
        for block in range(stage["depth"]):
            of, to = f"{here}blocks.{block}.", f"{there}blocks.{block}."
            if stage["attends"]:
                _attention(named, of, f"{to}mix.", width, layer_norm=tower.is_large)
                gamma = named.wide(f"{of}layer_scale_2.gamma", width, 1, 1)
            else:
                _mixer(named, f"{of}token_mixer", f"{to}mix.conv", _Shape(width, 1, 3))
                gamma = named.wide(f"{of}layer_scale.gamma", width, 1, 1)
            _layers(named, f"{of}mlp.", to, width, stage["inner"], gamma)
    _block(named, f"{_TRUNK}final_conv", f"{_TOWER}widen", _Shape(wide, 1, 3), scaled=True)
    _excitation(named, f"{_TRUNK}final_conv.se", f"{_TOWER}excite")
    named.both(f"{_TRUNK}head.fc", "visual_projection")


def fold_stem(named: Renaming, tower: VitTower) -> None:
    """Keep the convolutions before a ViT's blocks."""
    between, to = tower.stem_width, f"{_TOWER}embeddings."
    of = f"{_TRUNK}patch_embed.backbone."
    named.keep(f"{to}stem.0", *_normed(named, f"{of}0", _Shape(between, 3, 4)))
    named.keep(f"{to}stem.2", *_normed(named, f"{of}1", _Shape(between, between, 2)))
    named.both(f"{of}2.conv", f"{to}patch_embedding")


def _block(
    named: Renaming,
    of: str,
    to: str,
    shape: _Shape,
    *,
    scaled: bool = False,
    skips: bool = False,
) -> None:
    """MobileOne's: a convolution, perhaps one of single pixels, perhaps what came in."""
    if _is_folded(named, of, to):
        return
    named.keep(to, *_branches(named, of, shape, scaled=scaled, skips=skips))


def _branches(
    named: Renaming, of: str, shape: _Shape, *, scaled: bool, skips: bool
) -> tuple[Tensor, Tensor]:
    kernel, bias = _normed(named, f"{of}.conv_kxk.0", shape)
    if scaled:
        point, shift = _normed(named, f"{of}.conv_scale", shape._replace(size=1))
        kernel, bias = kernel + _padded(point, shape.size), bias + shift
    if skips:
        scale, shift = _batch_norm(named, f"{of}.identity", shape.out)
        kernel, bias = kernel + _unchanged(shape) * scale[:, None, None, None], bias + shift
    return kernel, bias


def _halving(named: Renaming, of: str, to: str, shape: _Shape) -> None:
    """A large kernel and a small one."""
    if _is_folded(named, of, to):
        return
    large, bias = _normed(named, f"{of}.large_conv", shape)
    small, shift = _normed(named, f"{of}.small_conv", shape._replace(size=3))
    named.keep(to, large + _padded(small, shape.size), bias + shift)


def _positions(named: Renaming, of: str, to: str, shape: _Shape) -> None:
    """``x + conv(x)``."""
    if _is_folded(named, of, to):
        return
    kernel = named.wide(f"{of}.pos_enc.weight", *shape.of(shape.size)) + _unchanged(shape)
    named.keep(to, kernel, named.wide(f"{of}.pos_enc.bias", shape.out))


def _mixer(named: Renaming, of: str, to: str, shape: _Shape) -> None:
    """``x + gamma * (mixer(x) - norm(x))``."""
    if _is_folded(named, of, to):
        return
    gamma = named.wide(f"{of}.layer_scale.gamma", shape.out, 1, 1)
    mixed, bias = _branches(named, f"{of}.mixer", shape, scaled=True, skips=True)
    scale, shift = _batch_norm(named, f"{of}.norm.identity", shape.out)
    unchanged = _unchanged(shape)
    kernel = unchanged + gamma[:, None] * (mixed - unchanged * scale[:, None, None, None])
    named.keep(to, kernel, gamma.flatten() * (bias - shift))


def _attention(named: Renaming, of: str, to: str, width: int, *, layer_norm: bool) -> None:
    """``gamma * proj(attention(qkv(norm(x))))``; a batch norm before ``qkv`` is part of it."""
    import torch

    weight = named.wide(f"{of}token_mixer.qkv.weight", 3 * width, width)
    bias = torch.zeros(3 * width, dtype=torch.float64)
    if layer_norm:
        named.both(f"{of}norm", f"{to}norm")
    else:
        scale, shift = _batch_norm(named, f"{of}norm", width)
        weight, bias = weight * scale, weight @ shift
    named.keep(f"{to}qkv", weight, bias)
    gamma = named.wide(f"{of}layer_scale_1.gamma", width, 1, 1).flatten()
    weight = named.wide(f"{of}token_mixer.proj.weight", width, width)
    bias = named.wide(f"{of}token_mixer.proj.bias", width)
    named.keep(f"{to}proj", weight * gamma[:, None], bias * gamma)


def _layers(named: Renaming, of: str, to: str, width: int, inner: int, gamma: Tensor) -> None:
    """``gamma * fc2(gelu(fc1(conv(x))))``."""
    named.keep(f"{to}conv", *_normed(named, f"{of}conv", _Shape(width, 1, 7)))
    named.both(f"{of}fc1", f"{to}fc1")
    weight = named.wide(f"{of}fc2.weight", width, inner, 1, 1)
    bias = named.wide(f"{of}fc2.bias", width)
    named.keep(f"{to}fc2", weight * gamma[:, None], bias * gamma.flatten())


def _excitation(named: Renaming, of: str, to: str) -> None:
    named.both(f"{of}.fc1", f"{to}.fc1")
    named.both(f"{of}.fc2", f"{to}.fc2")


def _is_folded(named: Renaming, of: str, to: str) -> bool:
    """Whether its makers have folded a block; it is kept then."""
    if f"{of}.reparam_conv.weight" not in named.tensors:
        return False
    named.both(f"{of}.reparam_conv", to)
    return True


def _normed(named: Renaming, of: str, shape: _Shape) -> tuple[Tensor, Tensor]:
    """Kernel and bias of a convolution and the batch norm behind it."""
    scale, shift = _batch_norm(named, f"{of}.bn", shape.out)
    kernel = named.wide(f"{of}.conv.weight", *shape.of(shape.size))
    return kernel * scale[:, None, None, None], shift


def _batch_norm(named: Renaming, of: str, width: int) -> tuple[Tensor, Tensor]:
    """What a batch norm multiplies by, and adds."""
    gamma, beta = named.wide(f"{of}.weight", width), named.wide(f"{of}.bias", width)
    mean, var = named.wide(f"{of}.running_mean", width), named.wide(f"{of}.running_var", width)
    named.drop(f"{of}.num_batches_tracked")
    scale = gamma / (var + _EPS).sqrt()
    return scale, beta - mean * scale


def _unchanged(shape: _Shape) -> Tensor:
    """The kernel that gives what it gets."""
    import torch

    kernel = torch.zeros(shape.of(shape.size), dtype=torch.float64)
    every = torch.arange(shape.out)
    kernel[every, every % shape.within, shape.size // 2, shape.size // 2] = 1
    return kernel


def _padded(kernel: Tensor, size: int) -> Tensor:
    from torch.nn import functional

    return functional.pad(kernel, [(size - kernel.shape[-1]) // 2] * 4)
