"""`Description`: what ``open_clip_config.json`` says of a model, as far as it can be converted."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from unisem.encoders.open_clip.towers import TOWERS, Tower
from unisem.errors import EncoderError

CONFIG = "open_clip_config.json"

Kind = Literal["clip", "siglip", "mobile_clip"]

_MOST_BYTES = 1 << 20
_LARGEST_SIDE = 4096  # pixels
_OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
_OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
_RESAMPLING = {"bilinear": 2, "bicubic": 3}  # Pillow's numbers

# What changes no vector, of a finished model; the rest must be known.
_IDLE = {"patch_dropout", "output_tokens", "hf_model_pretrained", "hf_proj_type", "hf_pooler_type"}
_IDLE |= {"attn_pooler_queries", "attn_pooler_heads", "timm_model_pretrained", "timm_drop"}
_IDLE |= {"timm_drop_path", "timm_proj_bias", "pad_id", "eos_id", "correct_cls_mask"}
_LARGEST = {"layers": 1000, "heads": 1000} | dict.fromkeys(("width", "head_width"), 1 << 16)
_VISION = {"layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size"}
_VISION |= {"act_kwargs", "norm_kwargs", "pool_type", "pos_embed_type"}
_TIMM = {"timm_model_name", "image_size", "timm_pool", "timm_proj"}
_TEXT = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "act_kwargs"}
_TEXT |= {"norm_kwargs", "no_causal_mask", "pool_type", "proj_bias", "proj_type"}
_TEXT |= {"hf_tokenizer_name", "tokenizer_kwargs"}

_SIGLIP = re.compile(r"vit_(base|large|so400m|giantopt)_patch(\d+)_siglip_(\d+)")
_HEADS = {"base": 12, "large": 16, "so400m": 16, "giantopt": 16}
_TANH = {"base_patch32_256", "large_patch16_512", "so400m_patch16_256", "so400m_patch16_384"}
_TANH |= {"so400m_patch16_512", "giantopt_patch16_256", "giantopt_patch16_384"}


@dataclass(frozen=True, slots=True)
class Description:
    """A CLIP, a SigLIP or a MobileCLIP, and how its pictures are prepared.

    Attributes:
        kind: Which of them: the first two are transformers' own.
        dimension: Of its vectors.
        text: open_clip's ``text_cfg``.
        vision: open_clip's ``vision_cfg``.
        text_act: transformers' name of the text tower's activation.
        vision_act: The same of the picture tower.
        vision_heads: Attention heads of the picture tower.
        tower: A MobileCLIP's picture tower.
        mean: Of pixels, by channel.
        std: The same.
        resampling: Pillow's number.
        squash: Whether a picture's sides are scaled each for itself, or the shorter one, and the
            middle is cut out.
    """

    kind: Kind
    dimension: int
    text: Mapping[str, Any]
    vision: Mapping[str, Any]
    text_act: str
    vision_act: str
    vision_heads: int
    tower: Tower | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resampling: int
    squash: bool

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read a directory's ``open_clip_config.json``.

        Raises:
            EncoderError: It is missing or malformed, or describes what transformers has not.
        """
        whole = _json(directory / CONFIG)
        try:
            model = whole["model_cfg"]
            text, vision, dimension = model["text_cfg"], model["vision_cfg"], model["embed_dim"]
            pixels = whole.get("preprocess_cfg") or {}
            named = vision.get("timm_model_name")
            act = "quick_gelu" if model.get("quick_gelu") else "gelu"
            kind: Kind = "clip"
            tower, heads, vision_act = TOWERS.get(str(named)), 1, "gelu"
            if named is None:
                heads, vision_act = _clip(directory, text, vision, act)
            elif tower is not None:
                kind = "mobile_clip"
                _mobile_clip(directory, text, vision, tower)
            else:
                kind = "siglip"
                heads, vision_act = _siglip(directory, text, vision, str(named))
            return cls(
                kind=kind,
                dimension=int(dimension),
                text=text,
                vision=vision,
                text_act=_act(text, act),
                vision_act=vision_act,
                vision_heads=heads,
                tower=tower,
                mean=_channels(pixels.get("mean") or _OPENAI_MEAN, "mean", -math.inf),
                std=_channels(pixels.get("std") or _OPENAI_STD, "std", 0),
                resampling=_RESAMPLING[pixels.get("interpolation") or "bicubic"],
                squash={"shortest": False, "squash": True}[pixels.get("resize_mode") or "shortest"],
            )
        except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise EncoderError(
                f"{directory / CONFIG} is not understood ({type(error).__name__}: {error}); it "
                "must have model_cfg with embed_dim, text_cfg and vision_cfg, and may have "
                "preprocess_cfg with mean, std, interpolation and resize_mode"
            ) from None


def _json(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise EncoderError(f"{path} has more than {_MOST_BYTES:,} bytes; it is no description")
        return json.loads(data)
    except FileNotFoundError:
        raise EncoderError(
            f"{path} is missing; name a directory with open_clip's own files"
        ) from None
    except (ValueError, RecursionError) as error:
        raise EncoderError(f"{path} is not JSON ({error})") from None


def _clip(directory: Path, text: Any, vision: Any, act: str) -> tuple[int, str]:
    """Heads and activation of a picture tower of open_clip's own."""
    _known(directory, "vision_cfg", vision, _VISION)
    _known(directory, "text_cfg", text, _TEXT)
    _require(directory, "vision_cfg", vision, pool_type="tok", pos_embed_type="learnable")
    _require(
        directory,
        "text_cfg",
        text,
        no_causal_mask=False,
        pool_type="argmax",
        proj_bias=False,
        proj_type="linear",
    )
    return vision["width"] // vision.get("head_width", 64), _act(vision, act)


def _siglip(directory: Path, text: Any, vision: Any, name: str) -> tuple[int, str]:
    """Heads and activation of a picture tower of timm's, which its name decides."""
    found = _SIGLIP.fullmatch(name)
    if found is None:
        raise EncoderError(
            f"{directory}: the picture tower {name} is not known here; the CLIPs whose towers are "
            "open_clip's own ViTs, the SigLIPs and the MobileCLIPs can be converted, other towers "
            "of timm cannot: take one of these of a like size, many have the same training data"
        )
    _known(directory, "vision_cfg", vision, _TIMM)
    _known(directory, "text_cfg", text, _TEXT)
    _require(directory, "vision_cfg", vision, timm_pool="map", timm_proj="none")
    _require(directory, "text_cfg", text, no_causal_mask=True, pool_type="last", proj_bias=True)
    size, patch, side = found.groups()
    tanh = f"{size}_patch{patch}_{side}" in _TANH
    return _HEADS[size], "gelu_pytorch_tanh" if tanh else "gelu"


def _mobile_clip(directory: Path, text: Any, vision: Any, tower: Tower) -> None:
    """Refuse what a MobileCLIP has not; its picture tower's name decides the rest."""
    _known(directory, "vision_cfg", vision, _TIMM)
    _known(directory, "text_cfg", text, _TEXT)
    _require(directory, "vision_cfg", vision, timm_pool=tower.pool, timm_proj=None)
    _require(directory, "text_cfg", text, pool_type="argmax", proj_bias=False, proj_type="linear")
    side = vision.get("image_size", 224)
    if type(side) is not int or not 1 <= side <= _LARGEST_SIDE:
        raise ValueError(
            f"vision_cfg.image_size must be a whole number from 1 to {_LARGEST_SIDE:,}, not "
            f"{side!r}"
        )
    if text.get("no_causal_mask") and text.get("hf_tokenizer_name"):
        raise EncoderError(
            f"{directory / CONFIG}: text_cfg.hf_tokenizer_name is {text['hf_tokenizer_name']!r}; a "
            "text tower that reads its padding is converted with CLIP's own tokenizer only, so "
            "this model cannot be"
        )


def _channels(given: Any, name: str, above: float) -> tuple[float, ...]:
    numbers = tuple(map(float, given))
    if len(numbers) != 3 or not all(above < one < math.inf for one in numbers):
        more = "" if above else " above 0"
        raise ValueError(f"preprocess_cfg.{name} must be three finite numbers{more}, not {given!r}")
    return numbers


def _act(tower: Any, usual: str) -> str:
    given = tower.get("act_kwargs") or {}
    return {"{}": usual, "{'approximate': 'tanh'}": "gelu_pytorch_tanh"}[str(given)]


def _known(directory: Path, part: str, given: Any, known: Collection[str]) -> None:
    """Refuse what would be left out without a word; what is not set changes nothing."""
    for name, value in given.items():
        if name not in known and name not in _IDLE and value not in (None, False):
            raise EncoderError(
                f"{directory / CONFIG}: {part}.{name} is {value!r}, which no model that can be "
                "converted has"
            )
        if isinstance(value, list) and name == "layers":
            raise EncoderError(
                f"{directory / CONFIG}: {part}.layers is {value!r}, as a ResNet's are, and "
                "ResNets cannot be converted; take a ViT that was trained on the same data"
            )
        most = _LARGEST.get(name)
        if most is not None and (type(value) is not int or not 1 <= value <= most):
            raise ValueError(
                f"{part}.{name} must be a whole number from 1 to {most:,}, not {value!r}"
            )


_DEFAULTS: dict[str, dict[str, Any]] = {
    "pool_type": {"vision_cfg": "tok", "text_cfg": "argmax"},
    "pos_embed_type": {"vision_cfg": "learnable"},
    "no_causal_mask": {"text_cfg": False},
    "proj_bias": {"text_cfg": False},
    "proj_type": {"text_cfg": "linear"},
    "timm_pool": {"vision_cfg": "avg"},
    "timm_proj": {"vision_cfg": "linear"},
}


def _require(directory: Path, part: str, given: Any, **wanted: Any) -> None:
    for name, value in wanted.items():
        there = given.get(name, _DEFAULTS[name][part])
        if there != value and not (value == "none" and there is None):
            raise EncoderError(
                f"{directory / CONFIG}: {part}.{name} is {there!r}, where a model that can be "
                f"converted has {value!r}"
            )
