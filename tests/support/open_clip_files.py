"""Tiny checkpoints with open_clip's names, and what they compute, written out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

WIDTH, HEADS, LAYERS, SIDE, PATCH, LENGTH, DIMENSION = 32, 4, 2, 32, 8, 16, 24
TEXT = {"context_length": LENGTH, "width": WIDTH, "heads": HEADS, "layers": LAYERS}
CLIP: dict[str, Any] = {
    "embed_dim": DIMENSION,
    "vision_cfg": {
        "image_size": SIDE,
        "layers": LAYERS,
        "width": WIDTH,
        "head_width": WIDTH // HEADS,
        "mlp_ratio": 2.5,
        "patch_size": PATCH,
    },
    "text_cfg": {**TEXT, "vocab_size": 192},
}
SIGLIP: dict[str, Any] = {
    "embed_dim": WIDTH,
    "init_logit_bias": -10,
    "custom_text": True,
    "vision_cfg": {
        "image_size": SIDE,
        "timm_model_name": "vit_base_patch16_siglip_224",
        "timm_model_pretrained": False,
        "timm_pool": "map",
        "timm_proj": "none",
    },
    "text_cfg": {
        **TEXT,
        "vocab_size": 200,
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
        "norm_kwargs": {"eps": 1e-6},
    },
}


def save(
    directory: Path, config: dict[str, Any], tensors: dict[str, Tensor], **preprocess: Any
) -> Path:
    """A directory as open_clip writes it, its tokenizer beside."""
    directory.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: one.contiguous() for name, one in tensors.items()},
        directory / "open_clip_model.safetensors",
    )
    whole = {"model_cfg": config, "preprocess_cfg": preprocess}
    (directory / "open_clip_config.json").write_text(json.dumps(whole), encoding="utf-8")
    return directory


def save_clip_words(directory: Path) -> None:
    """CLIP's kind of tokenizer: letters; the marks of beginning and end are its last tokens."""
    from transformers import CLIPTokenizerFast

    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(one + "</w>" for one in letters), "!!", "??"]
    tokens = [*tokens, "<|startoftext|>", "<|endoftext|>"]
    directory.mkdir(parents=True, exist_ok=True)
    vocabulary, merges = directory / "vocab.json", directory / "merges.txt"
    vocabulary.write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    merges.write_text("#version: 0.2\n")
    CLIPTokenizerFast(str(vocabulary), str(merges)).save_pretrained(directory)


def clip_tensors(seed: int, prefix: str = "") -> dict[str, Tensor]:
    """Random weights of `CLIP`; ``prefix`` is ``text.`` in a CustomTextCLIP."""
    grid = (SIDE // PATCH) ** 2
    shapes: dict[str, tuple[int, ...]] = {
        "logit_scale": (),
        "visual.class_embedding": (WIDTH,),
        "visual.conv1.weight": (WIDTH, 3, PATCH, PATCH),
        "visual.positional_embedding": (grid + 1, WIDTH),
        "visual.proj": (WIDTH, DIMENSION),
        **_norm("visual.ln_pre"),
        **_norm("visual.ln_post"),
        **_blocks("visual.transformer.resblocks.", 80),
        **_text(prefix, 192),
        f"{prefix}text_projection": (WIDTH, DIMENSION),
    }
    return _random(shapes, seed)


def siglip_tensors(seed: int) -> dict[str, Tensor]:
    """Random weights of `SIGLIP`, its picture tower 48 wide, as its 12 heads need."""
    width, trunk = 48, "visual.trunk."
    shapes: dict[str, tuple[int, ...]] = {
        "logit_scale": (),
        "logit_bias": (),
        f"{trunk}pos_embed": (1, (SIDE // 16) ** 2, width),
        **_linear(f"{trunk}patch_embed.proj", (width, 3, 16, 16)),
        **_norm(f"{trunk}norm", width),
        f"{trunk}attn_pool.latent": (1, 1, width),
        **_linear(f"{trunk}attn_pool.q", (width, width)),
        **_linear(f"{trunk}attn_pool.kv", (2 * width, width)),
        **_linear(f"{trunk}attn_pool.proj", (width, width)),
        **_norm(f"{trunk}attn_pool.norm", width),
        **_linear(f"{trunk}attn_pool.mlp.fc1", (96, width)),
        **_linear(f"{trunk}attn_pool.mlp.fc2", (width, 96)),
        **_text("text.", 200),
        **_linear("text.text_projection", (width, WIDTH)),
    }
    for layer in range(LAYERS):
        here = f"{trunk}blocks.{layer}."
        shapes |= _norm(f"{here}norm1", width) | _norm(f"{here}norm2", width)
        shapes |= _linear(f"{here}attn.qkv", (3 * width, width))
        shapes |= _linear(f"{here}attn.proj", (width, width))
        shapes |= _linear(f"{here}mlp.fc1", (96, width)) | _linear(f"{here}mlp.fc2", (width, 96))
    return _random(shapes, seed)


def clip_features(
    t: dict[str, Tensor], ids: Tensor, pixels: Tensor, prefix: str, quick: bool
) -> tuple[Tensor, Tensor]:
    """Vectors of texts and of pictures, ``(n, d)``, as open_clip's ``CLIP`` computes them."""
    act = (lambda x: x * torch.sigmoid(1.702 * x)) if quick else functional.gelu
    texts = clip_text_features(t, ids, prefix, act)
    y = functional.conv2d(pixels, t["visual.conv1.weight"], stride=PATCH).flatten(2).mT
    first = t["visual.class_embedding"].expand(len(y), 1, -1)
    y = torch.cat([first, y], dim=1) + t["visual.positional_embedding"]
    y = _normed(t, "visual.ln_pre", y, 1e-5)
    y = _run(t, "visual.transformer.resblocks.", y, HEADS, act, None, 1e-5)
    return texts, _normed(t, "visual.ln_post", y[:, 0], 1e-5) @ t["visual.proj"]


def clip_text_features(
    t: dict[str, Tensor], ids: Tensor, prefix: str, act: Any, *, both_ways: bool = False
) -> Tensor:
    """Vectors of texts; ``both_ways`` is open_clip's ``no_causal_mask``."""
    x = t[f"{prefix}token_embedding.weight"][ids]
    x = x + t[f"{prefix}positional_embedding"][: ids.shape[1]]
    mask = None if both_ways else torch.full((ids.shape[1],) * 2, -torch.inf).triu(1)
    x = _run(t, f"{prefix}transformer.resblocks.", x, HEADS, act, mask, 1e-5)
    x = _normed(t, f"{prefix}ln_final", x, 1e-5)
    return x[torch.arange(len(ids)), ids.argmax(dim=-1)] @ t[f"{prefix}text_projection"]


def siglip_features(t: dict[str, Tensor], ids: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """The same of open_clip's ``CustomTextCLIP`` with timm's SigLIP tower."""
    x = t["text.token_embedding.weight"][ids] + t["text.positional_embedding"][: ids.shape[1]]
    x = _run(t, "text.transformer.resblocks.", x, HEADS, functional.gelu, None, 1e-6)
    x = _normed(t, "text.ln_final", x, 1e-6)[:, -1]
    texts = _applied(t, "text.text_projection", x)
    trunk = "visual.trunk."
    y = functional.conv2d(
        pixels, t[f"{trunk}patch_embed.proj.weight"], t[f"{trunk}patch_embed.proj.bias"], stride=16
    )
    y = y.flatten(2).mT + t[f"{trunk}pos_embed"]
    for layer in range(LAYERS):
        here = f"{trunk}blocks.{layer}."
        q, k, v = _applied(t, f"{here}attn.qkv", _normed(t, f"{here}norm1", y, 1e-6)).chunk(3, -1)
        y = y + _applied(t, f"{here}attn.proj", _attended(q, k, v, 12, None))
        z = functional.gelu(_applied(t, f"{here}mlp.fc1", _normed(t, f"{here}norm2", y, 1e-6)))
        y = y + _applied(t, f"{here}mlp.fc2", z)
    y = _normed(t, f"{trunk}norm", y, 1e-6)
    pool = f"{trunk}attn_pool."
    q = _applied(t, f"{pool}q", t[f"{pool}latent"].expand(len(y), 1, -1))
    k, v = _applied(t, f"{pool}kv", y).chunk(2, -1)
    y = _applied(t, f"{pool}proj", _attended(q, k, v, 12, None))
    z = functional.gelu(_applied(t, f"{pool}mlp.fc1", _normed(t, f"{pool}norm", y, 1e-6)))
    return texts, (y + _applied(t, f"{pool}mlp.fc2", z))[:, 0]


def _run(t: Any, of: str, x: Tensor, heads: int, act: Any, mask: Any, eps: float) -> Tensor:
    for layer in range(LAYERS):
        here = f"{of}{layer}."
        h = _normed(t, f"{here}ln_1", x, eps)
        qkv = h @ t[f"{here}attn.in_proj_weight"].T + t[f"{here}attn.in_proj_bias"]
        h = _attended(*qkv.chunk(3, -1), heads, mask)
        x = x + _applied(t, f"{here}attn.out_proj", h)
        h = act(_applied(t, f"{here}mlp.c_fc", _normed(t, f"{here}ln_2", x, eps)))
        x = x + _applied(t, f"{here}mlp.c_proj", h)
    return x


def _attended(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None) -> Tensor:
    q, k, v = (one.unflatten(-1, (heads, -1)).transpose(1, 2) for one in (q, k, v))
    weights = q @ k.mT / q.shape[-1] ** 0.5 + (0 if mask is None else mask)
    return (weights.softmax(-1) @ v).transpose(1, 2).flatten(2)


def _applied(t: Any, name: str, x: Tensor) -> Tensor:
    return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]


def _normed(t: Any, name: str, x: Tensor, eps: float) -> Tensor:
    weight = t[f"{name}.weight"]
    return functional.layer_norm(x, weight.shape, weight, t[f"{name}.bias"], eps)


def _linear(name: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _norm(name: str, width: int = WIDTH) -> dict[str, tuple[int, ...]]:
    return _linear(name, (width,))


def _text(prefix: str, words: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{prefix}token_embedding.weight": (words, WIDTH),
        f"{prefix}positional_embedding": (LENGTH, WIDTH),
        **_norm(f"{prefix}ln_final"),
        **_blocks(f"{prefix}transformer.resblocks.", 4 * WIDTH),
    }


def _blocks(of: str, inner: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(LAYERS):
        here = f"{of}{layer}."
        shapes |= _norm(f"{here}ln_1") | _norm(f"{here}ln_2")
        shapes |= {f"{here}attn.in_proj_weight": (3 * WIDTH, WIDTH)}
        shapes |= {f"{here}attn.in_proj_bias": (3 * WIDTH,)}
        shapes |= _linear(f"{here}attn.out_proj", (WIDTH, WIDTH))
        shapes |= _linear(f"{here}mlp.c_fc", (inner, WIDTH))
        shapes |= _linear(f"{here}mlp.c_proj", (WIDTH, inner))
    return shapes


def _random(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    drawn = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(shape, generator=drawn) * 0.2
        + (1 if "norm" in name or ".ln_" in name else 0) * name.endswith("weight")
        for name, shape in shapes.items()
    }
