"""Tiny random image-to-text checkpoints, as hubs have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.networks import SIDE, SMALL, VISION, word_tokenizer

_SQUARE = {"height": SIDE, "width": SIDE}
_SPREAD = {"initializer_range": 0.4}  # else every picture is described alike


def save_blip(directory: Path) -> Path:
    """A BLIP that captions."""
    import torch
    from transformers import (
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessorPil,
        BlipProcessor,
    )

    tokenizer = word_tokenizer(32)
    text = SMALL | _SPREAD | {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 32,
        "encoder_hidden_size": 32,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
        "sep_token_id": tokenizer.sep_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    torch.manual_seed(0)
    config = BlipConfig(text_config=text, vision_config=VISION | _SPREAD, projection_dim=24)
    model = BlipForConditionalGeneration(config)
    return _saved(directory, model, BlipProcessor(BlipImageProcessorPil(size=_SQUARE), tokenizer))


def save_git(directory: Path) -> Path:
    """A GIT."""
    import torch
    from transformers import CLIPImageProcessorPil, GitConfig, GitForCausalLM, GitProcessor

    tokenizer = word_tokenizer(32)
    torch.manual_seed(1)
    config = GitConfig(
        vision_config=VISION | _SPREAD,
        vocab_size=len(tokenizer),
        max_position_embeddings=64,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **SMALL | _SPREAD,
    )
    images = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=_SQUARE)
    return _saved(directory, GitForCausalLM(config), GitProcessor(images, tokenizer))


def save_encoder_decoder(directory: Path) -> Path:
    """A ViT and a GPT-2, which have no processor of both."""
    import torch
    from transformers import (
        GPT2Config,
        VisionEncoderDecoderConfig,
        VisionEncoderDecoderModel,
        ViTConfig,
        ViTImageProcessorPil,
    )

    tokenizer = word_tokenizer(32)
    torch.manual_seed(2)
    decoder = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=32,
        n_embd=32,
        n_layer=2,
        n_head=2,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        **_SPREAD,
    )
    encoder = ViTConfig(**VISION, **_SPREAD)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id = tokenizer.cls_token_id
    config.pad_token_id = tokenizer.pad_token_id
    config.eos_token_id = tokenizer.sep_token_id
    model = VisionEncoderDecoderModel(config)
    model.generation_config.decoder_start_token_id = tokenizer.cls_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.sep_token_id
    return _saved(directory, model, ViTImageProcessorPil(size=_SQUARE), tokenizer)


def save_talking(directory: Path) -> Path:
    """A LLaVA with a chat template."""
    import torch
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer = word_tokenizer(128, ("<image>",))
    torch.manual_seed(3)
    language = LlamaConfig(
        vocab_size=len(tokenizer),
        num_key_value_heads=2,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **SMALL | _SPREAD,
    )
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**VISION, **_SPREAD).to_dict(),
        text_config=language.to_dict(),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    images = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=_SQUARE)
    processor = LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=(
            "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'image' %}"
            "<image>{% else %}{{ c['text'] }}{% endif %} {% endfor %}{% endfor %}"
            "{% if add_generation_prompt %}photo of {% endif %}"
        ),
    )
    return _saved(directory, LlavaForConditionalGeneration(config), processor)


def _saved(directory: Path, *parts: Any) -> Path:
    for part in parts:
        part.save_pretrained(directory)
    return directory
