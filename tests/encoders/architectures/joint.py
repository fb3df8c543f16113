"""Tiny checkpoints of networks with a text half and a picture half, as their hubs hold them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.mobile_clip_files import MobileClipFiles, small_towers
from tests.support.networks import SIDE, SMALL, VISION, word_tokenizer
from unisem.encoders.open_clip import convert_open_clip

_SQUARE = {"height": SIDE, "width": SIDE}
_WIDE = 0.3  # deviation of random weights: with transformers' .02 all vectors are nearly one


def save_clip(directory: Path) -> Path:
    """OpenAI's CLIP: the end of a text is found by its token."""
    return _joint(directory, "CLIP", _clip_tokenizer(directory), text=_clip_text(), projection=24)


def save_metaclip_2(directory: Path) -> Path:
    """MetaCLIP 2: CLIP's architecture with XLM-V's tokenizer, whose ids say nothing of the end."""
    tokenizer = word_tokenizer(77)
    text = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 77,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    return _joint(directory, "MetaClip2", tokenizer, text=text, projection=24, processor="CLIP")


def save_siglip(directory: Path) -> Path:
    """SigLIP: texts padded to their full length, of which the last position is the vector."""
    return _joint(directory, "Siglip", _sentinel_tokenizer(16), text=_sentinel_text(16))


def save_siglip_2(directory: Path) -> Path:
    """SigLIP 2 of fixed resolution: a SigLIP with Gemma's tokenizer, trained on lower case."""
    tokenizer = _gemma_tokenizer(64)
    text = _sentinel_text(64, vocabulary=len(tokenizer))
    return _joint(directory, "Siglip", tokenizer, text=text)


def save_siglip_2_naflex(directory: Path) -> Path:
    """SigLIP 2 NaFlex: pictures in their own shape, as at most so many patches."""
    import transformers

    tokenizer = _gemma_tokenizer(64)
    vision = SMALL | {"patch_size": 8, "num_patches": 16}
    config = transformers.Siglip2Config(
        text_config=SMALL | _sentinel_text(64, vocabulary=len(tokenizer)), vision_config=vision
    )
    images = transformers.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=24)
    processor = transformers.Siglip2Processor(images, tokenizer)
    return _saved(directory, _random(lambda: transformers.Siglip2Model(config)), processor)


def save_mobile_clip(directory: Path) -> Path:
    """MobileCLIP: branches summed by the conversion, beside the checkpoint that it is from."""
    source = MobileClipFiles(directory / "source", "fastvit_mci0")
    with small_towers():
        return convert_open_clip(source.folder, directory / "converted").directory


def save_chinese_clip(directory: Path) -> Path:
    """Chinese-CLIP: a BERT, whose first position is the vector, and CLIP's tower."""
    text = {"vocab_size": 18, "max_position_embeddings": 64}
    tokenizer = word_tokenizer(52)
    return _joint(directory, "ChineseCLIP", tokenizer, text=text, projection=24)


def save_altclip(directory: Path) -> Path:
    """AltCLIP: an XLM-R that is projected twice, and CLIP's tower."""
    tokenizer = word_tokenizer(50)
    text = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 52,
        "pad_token_id": tokenizer.pad_token_id,
        "project_dim": 32,
    }
    return _joint(directory, "AltCLIP", tokenizer, text=text, projection=24)


def save_align(directory: Path) -> Path:
    """ALIGN: a BERT and an EfficientNet."""
    import transformers

    tokenizer = word_tokenizer(64)
    vision = {
        "image_size": SIDE,
        "width_coefficient": 1.0,
        "depth_coefficient": 1.0,
        "hidden_dim": 24,
        "in_channels": [32],
        "out_channels": [24],
        "kernel_sizes": [3],
        "strides": [2],
        "num_block_repeats": [1],
        "expand_ratios": [2],
        "depthwise_padding": [],
    }
    text = SMALL | {"vocab_size": len(tokenizer), "max_position_embeddings": 64}
    config = transformers.AlignConfig(text_config=text, vision_config=vision, projection_dim=24)
    images = transformers.EfficientNetImageProcessorPil(size=_SQUARE)
    processor = transformers.AlignProcessor(images, tokenizer)
    return _saved(directory, _random(lambda: transformers.AlignModel(config)), processor)


def _joint(
    directory: Path,
    kind: str,
    tokenizer: Any,
    *,
    text: dict[str, Any],
    projection: int | None = None,
    processor: str | None = None,
) -> Path:
    import transformers

    sizes = {} if projection is None else {"projection_dim": projection}
    config = getattr(transformers, f"{kind}Config")(
        text_config=SMALL | text, vision_config=VISION, **sizes
    )
    network = _random(lambda: getattr(transformers, f"{kind}Model")(config))
    family = "Siglip" if kind == "Siglip" else "ChineseCLIP" if kind == "ChineseCLIP" else "CLIP"
    size = {"size": _SQUARE, "crop_size": _SQUARE}
    if family == "CLIP":
        size["size"] = {"shortest_edge": SIDE}
    images = getattr(transformers, f"{family}ImageProcessorPil")(**size)
    made = getattr(transformers, f"{processor or kind}Processor")(images, tokenizer)
    return _saved(directory, network, made)


def _random(make: Any) -> Any:
    import torch

    torch.manual_seed(0)
    network = make()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, _WIDE, generator=generator)
    return network


def _saved(directory: Path, *parts: Any) -> Path:
    for part in parts:
        part.save_pretrained(directory)
    return directory


def _clip_text() -> dict[str, Any]:
    return {
        "vocab_size": 190,
        "max_position_embeddings": 77,
        "bos_token_id": 188,
        "eos_token_id": 189,
        "pad_token_id": 189,
    }


def _clip_tokenizer(directory: Path) -> Any:
    from transformers import CLIPTokenizerFast

    directory.mkdir(parents=True, exist_ok=True)
    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(letter + "</w>" for letter in letters)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary, merges = directory / "vocab.json", directory / "merges.txt"
    vocabulary.write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    merges.write_text("#version: 0.2\n")
    return CLIPTokenizerFast(str(vocabulary), str(merges), model_max_length=77)


def _sentinel_text(positions: int, vocabulary: int = 18) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "max_position_embeddings": positions,
        "projection_size": SMALL["hidden_size"],
    }


def _sentinel_tokenizer(limit: int) -> Any:
    return word_tokenizer(limit)


def _gemma_tokenizer(limit: int) -> Any:
    """Gemma's: byte pairs, and letters keep their case."""
    from transformers import GemmaTokenizerFast

    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁"]
    tokens += [chr(code) for code in range(33, 127)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return GemmaTokenizerFast(
        vocab=vocabulary,
        merges=[],
        model_max_length=limit,
        add_bos_token=False,
        add_eos_token=True,
        padding_side="right",
        do_lower_case=True,  # as the hub's files say, and Gemma's tokenizer does not know
        model_input_names=["input_ids"],
    )
