"""Loading a cross encoder through sentence-transformers, without network and foreign code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unisem.encoders.loading import limit_text_length, suit_the_weights, without_progress_bars
from unisem.errors import RerankerError


def load_cross_encoder(
    name: str, directory: Path, device: str | None, dtype: str, max_length: int | None
) -> Any:
    """Load a ``CrossEncoder`` for inference.

    Args:
        name: What to call the model in an error.
        directory: A model directory with safetensors weights.
        device: As for ``torch``; the best one present if ``None``.
        dtype: Name of a torch floating type.
        max_length: Tokens that a pair may have; the model's own limit if ``None``.

    Raises:
        RerankerError: The files do not load, would need code of their own, or the model does not
            give one score for a pair.
    """
    import torch
    from safetensors import SafetensorError
    from sentence_transformers import CrossEncoder

    try:
        with without_progress_bars():
            model = CrossEncoder(
                str(directory),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"dtype": getattr(torch, dtype), "use_safetensors": True},
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
        raise RerankerError(f"the reranker {name!r} does not load: {error}") from error
    if model.num_labels != 1:
        raise RerankerError(
            f"{name!r} gives {model.num_labels} labels for a pair; a reranker gives one score"
        )
    model = model.to(dtype=getattr(torch, dtype)).eval()
    for module in model.modules():
        if hasattr(module, "auto_model"):
            module.register_forward_pre_hook(suit_the_weights)
            if module.tokenizer is not None:
                limit_text_length(module)
    if max_length is not None:
        model.max_seq_length = min(max_length, model.max_seq_length or max_length)
    return model
