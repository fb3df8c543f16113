"""`prepare_as_trained`: texts and pictures are made ready as a network was trained on them."""

from __future__ import annotations

import math
from typing import Any


def prepare_as_trained(transformer: Any) -> None:
    """Mend what transformers and sentence-transformers leave undone before a network.

    A tokenizer that states no limit would let an over-long text crash the model. SigLIP was
    trained on texts padded to its full length and reads the last position, so padding to the
    longest of a batch, the usual way, would make a text's vector depend on its neighbours.

    SigLIP 2 was trained on lower case ("transforming the text to lower case before tokenization",
    https://arxiv.org/abs/2502.14786, section 2.1), and the published checkpoints name Gemma's
    tokenizer, which keeps capitals.

    A processor's class may have settings of its own for pictures (NaFlex: 256 patches of 16
    pixels), which transformers prefers to those that were saved with the model; here the saved
    ones hold.

    Args:
        transformer: sentence-transformers' ``Transformer``.
    """
    _keep_image_settings(transformer)
    tokenizer, network = transformer.tokenizer, transformer.auto_model
    positions = None if tokenizer is None else _text_positions(network)
    if positions is None:
        return
    if tokenizer.model_max_length > positions:
        tokenizer.model_max_length = positions
    if network.config.model_type.startswith("siglip"):
        text = {"padding": "max_length", "max_length": positions, "truncation": True}
        chosen = transformer.processing_kwargs.get("text", {})
        transformer.processing_kwargs = transformer.processing_kwargs | {"text": text | chosen}
        if type(tokenizer).__name__.startswith("Gemma"):
            _lower_case(tokenizer)


def _keep_image_settings(transformer: Any) -> None:
    processor = transformer.processor
    images = getattr(processor, "image_processor", None)
    preferred = getattr(type(processor), "images_kwargs", None) or {}
    saved = {name for name in preferred if hasattr(images, name)}
    if saved:  # hides the class's
        processor.images_kwargs = {name: preferred[name] for name in preferred.keys() - saved}


def _lower_case(tokenizer: Any) -> None:
    from tokenizers import normalizers

    backend = tokenizer.backend_tokenizer
    after = [] if backend.normalizer is None else [backend.normalizer]
    backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *after])


def _text_positions(network: Any) -> int | None:
    """How many tokens a network has positions for; ``None`` where they are relative."""
    import torch

    config = network.config
    text_config = config.get_text_config() if hasattr(config, "get_text_config") else config
    stated = getattr(text_config, "max_position_embeddings", None)
    if not isinstance(stated, int) or stated < 1:  # XLNet says -1
        return None
    for name, module in network.named_modules():
        # RoBERTa, MPNet and their kin count from behind the padding index.
        if (
            isinstance(module, torch.nn.Embedding)
            and module.num_embeddings == stated
            and module.padding_idx is not None
            and "position" in name
        ):
            return stated - module.padding_idx - 1
    return stated


def image_side(processor: Any) -> int | None:
    """The longer side of what a processor makes of a square picture, in pixels, if it says so."""
    patches = getattr(processor, "max_num_patches", None)  # NaFlex: at most so many
    if patches is not None:
        return int(processor.patch_size * patches**0.5)
    if hasattr(processor, "max_soft_tokens"):  # Gemma: as many, each of some patches
        wide = processor.patch_size * processor.pooling_kernel_size
        return int(wide * processor.max_soft_tokens**0.5)
    size = dict(getattr(processor, "size", None) or {})
    sides = [side for side in size.values() if isinstance(side, int)]
    if hasattr(processor, "merge_size"):  # Qwen: the "edges" are areas
        sides = [math.isqrt(side) for side in sides]
    return max(sides, default=None)
