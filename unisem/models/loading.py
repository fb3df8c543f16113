"""Loading any sentence-transformers model from files, and mending what that leaves undone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from unisem.errors import UniSemError
from unisem.models.progress_bars import without_progress_bars


def load_offline(
    architecture: Callable[..., Any],
    directory: Path,
    *,
    device: str | None,
    dtype: str,
    what: str,
    failure: type[UniSemError],
) -> Any:
    """Load a model for inference, without network and without foreign code.

    Args:
        architecture: ``SentenceTransformer`` or ``CrossEncoder``.
        directory: A model directory with safetensors weights.
        device: As for ``torch``; the best one present if ``None``.
        dtype: Name of a torch floating type.
        what: What to call the model in an error, for example ``the encoder 'mini'``.
        failure: The error to raise where the files do not load, or would need code of their own.
    """
    import torch
    from safetensors import SafetensorError

    weights_dtype = getattr(torch, dtype)
    try:
        with without_progress_bars():
            model = architecture(
                str(directory),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"dtype": weights_dtype, "use_safetensors": True},
            )
    except (
        AttributeError,
        ImportError,
        KeyError,
        OSError,
        RuntimeError,
        SafetensorError,
        TypeError,
        ValueError,
    ) as error:
        raise failure(f"{what} does not load: {error}") from error
    for module in model.modules():
        if hasattr(module, "auto_model"):
            module.register_forward_pre_hook(_suit_the_weights)
            if module.tokenizer is not None:
                _limit_text_length(module)
    return model.to(dtype=weights_dtype).eval()


def _suit_the_weights(transformer: Any, arguments: tuple[dict[str, Any], ...]) -> None:
    """Give pixels the floating type and memory layout of the weights; some models do not."""
    import torch

    features = arguments[0]
    pixels = features.get("pixel_values")
    if pixels is not None and pixels.is_floating_point():
        layout = torch.channels_last if pixels.dim() == 4 else torch.preserve_format
        features["pixel_values"] = pixels.to(transformer.auto_model.dtype, memory_format=layout)


def _limit_text_length(transformer: Any) -> None:
    """Make texts as long as the model was trained on, at most and for SigLIP exactly.

    A tokenizer that states no limit would let an over-long text crash the model. SigLIP was
    trained on texts padded to its full length and reads the last position, so padding to the
    longest of a batch, the usual way, would make a text's vector depend on its neighbours.
    """
    tokenizer, config = transformer.tokenizer, transformer.auto_model.config
    text_config = config.get_text_config() if hasattr(config, "get_text_config") else config
    positions = getattr(text_config, "max_position_embeddings", None)
    if not isinstance(positions, int):
        return
    if "roberta" in config.model_type:
        positions -= 2  # RoBERTa counts positions from the padding index on
    if tokenizer.model_max_length > positions:
        tokenizer.model_max_length = positions
    if config.model_type.startswith("siglip"):
        text = {"padding": "max_length", "max_length": positions, "truncation": True}
        chosen = transformer.processing_kwargs.get("text", {})
        transformer.processing_kwargs = transformer.processing_kwargs | {"text": text | chosen}
