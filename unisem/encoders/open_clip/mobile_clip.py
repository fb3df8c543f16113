"""`MobileClip`: open_clip's MobileCLIPs as a network of transformers.

A CLIP but for three things: the picture tower may be a `FastVit`, or a ViT behind a stem of
convolutions; the text tower may read in both directions, its padding included; and the picture's
projection has a bias. Everything else is transformers' ``CLIPModel``, so whatever takes one of
these takes a MobileCLIP: sentence-transformers, its trainer, our own rooms.

transformers does not know the name, so `register` says it, before a model is loaded: a class of
this package, whatever the files say of code.

Source: open_clip, ``timm_model.py`` and ``TextTransformer`` in ``transformer.py``; timm,
``fastvit.py`` and ``vision_transformer_hybrid.py``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModel,
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModel,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling

from unisem.encoders.open_clip.fast_vit import FastVit


@strict
class MobileClipTextConfig(CLIPTextConfig):  # type: ignore[misc]
    """CLIP's, and whether words see those behind them."""

    model_type = "unisem_mobile_clip_text"
    both_ways: bool = False


@strict
class MobileClipVisionConfig(CLIPVisionConfig):  # type: ignore[misc]
    """CLIP's, and what a picture passes: a ViT, one behind a stem, or a `FastVit` of stages."""

    model_type = "unisem_mobile_clip_vision"
    tower: str = "vit"
    stem_width: int = 0
    stages: list[Any] | None = None
    excited: int = 0
    layer_norm: bool = False


@strict
class MobileClipConfig(CLIPConfig):  # type: ignore[misc]
    """Both towers'."""

    model_type = "unisem_mobile_clip"
    sub_configs_defaults: ClassVar[dict[str, Any]] = {
        "text_config": MobileClipTextConfig,
        "vision_config": MobileClipVisionConfig,
    }


class MobileClip(CLIPModel):  # type: ignore[misc]
    """A text tower and a picture tower that share a space of ``projection_dim`` numbers."""

    config_class = MobileClipConfig

    def __init__(self, config: MobileClipConfig) -> None:
        super(CLIPModel, self).__init__(config)
        text, vision = config.text_config, config.vision_config
        self.projection_dim = config.projection_dim
        self.text_embed_dim, self.vision_embed_dim = text.hidden_size, vision.hidden_size
        self.text_model = (_BothWays if text.both_ways else CLIPTextModel)._from_config(text)
        self.vision_model = _picture_tower(vision)
        self.visual_projection = nn.Linear(vision.hidden_size, config.projection_dim)
        self.text_projection = nn.Linear(text.hidden_size, config.projection_dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(config.logit_scale_init_value))
        self.post_init()


def register() -> None:
    """Have transformers' ``Auto`` classes know a MobileCLIP by its configuration."""
    AutoConfig.register(MobileClipConfig.model_type, MobileClipConfig, exist_ok=True)
    AutoModel.register(MobileClipConfig, MobileClip, exist_ok=True)


def _picture_tower(config: MobileClipVisionConfig) -> nn.Module:
    if config.tower == "fast_vit":
        return FastVit(
            config.stages or (), config.hidden_size, config.excited, layer_norm=config.layer_norm
        )
    tower: nn.Module = CLIPVisionModel._from_config(config)
    if config.tower == "stem_vit":
        tower.embeddings = _StemEmbeddings(config)
        tower.pre_layrnorm = nn.Identity()
    elif config.tower != "vit":
        raise ValueError(f"tower must be vit, stem_vit or fast_vit, not {config.tower!r}")
    return tower


class _BothWays(CLIPTextModel):  # type: ignore[misc]
    """Words see those behind them, and the padding, with which a text always fills all positions.

    open_clip fills up with token 0, which is a word of CLIP's, so a tokenizer cannot name it as its
    padding: what is masked is put in its place here.
    """

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any
    ) -> BaseModelOutputWithPooling:
        length = input_ids.shape[1]
        ids = input_ids if attention_mask is None else input_ids * (attention_mask != 0)
        ids = functional.pad(ids, (0, self.config.max_position_embeddings - length))
        hidden = self.encoder(inputs_embeds=self.embeddings(input_ids=ids)).last_hidden_state
        hidden = self.final_layer_norm(hidden)[:, :length]
        ends = (input_ids == self.config.eos_token_id).int().argmax(dim=-1)  # the first one
        # `len` would be a fixed number in an export.
        ended = hidden[torch.arange(ends.shape[0], device=hidden.device), ends]
        return BaseModelOutputWithPooling(last_hidden_state=hidden, pooler_output=ended)


class _StemEmbeddings(nn.Module):
    """Places of 16 x 16 pixels by three convolutions, and a class token without a position."""

    def __init__(self, config: MobileClipVisionConfig) -> None:
        super().__init__()
        width, between = config.hidden_size, config.stem_width
        self.stem = nn.Sequential(
            nn.Conv2d(3, between, 4, stride=4),
            nn.GELU(),
            nn.Conv2d(between, between, 2, stride=2),
            nn.GELU(),
        )
        self.patch_embedding = nn.Conv2d(between, width, 2, stride=2)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.position_embedding = nn.Embedding((config.image_size // 16) ** 2, width)

    def forward(self, pixel_values: Tensor, **_: Any) -> Tensor:
        places = self.patch_embedding(self.stem(pixel_values)).flatten(2).transpose(1, 2)
        places = places + self.position_embedding.weight
        first = self.class_embedding.expand(places.shape[0], 1, -1)
        return torch.cat([first, places], dim=1)  # (n, 1 + places, width)
