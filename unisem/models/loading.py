"""Loading any sentence-transformers model from files, and mending what that leaves undone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unisem.common.lazy import needs_torch
from unisem.errors import UniSemError
from unisem.models.missing_weights import (
    refuse_adapter_within,
    refuse_random_weights,
    watched_loading,
)
from unisem.models.model_kind import refuse_foreign_code
from unisem.models.preparing import prepare_as_trained
from unisem.models.video import TORCHVISION, needs_torchvision, without_video

if TYPE_CHECKING:
    from torch import Tensor

_WORDS = 300  # characters of a library's message


def loading_errors() -> tuple[type[Exception], ...]:
    """What the libraries raise over files that do not load."""
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    return (
        ArithmeticError,
        AssertionError,  # torch without CUDA that is asked for it
        AttributeError,
        ImportError,
        LookupError,
        OSError,
        RuntimeError,
        SafetensorError,
        StrictDataclassError,
        TypeError,
        ValueError,
    )


def load_offline(
    architecture: Callable[..., Any],
    directory: Path,
    *,
    device: str | None,
    dtype: str,
    attention: str | None = None,
    what: str,
    failure: type[UniSemError],
    outputs: Callable[[Any], Iterable[Tensor]],
) -> Any:
    """Load a model for inference, without network and without foreign code.

    Args:
        architecture: ``SentenceTransformer``, ``CrossEncoder``, or what is called like them.
        directory: A model directory with safetensors weights.
        device: As for ``torch``; the best one present if ``None``.
        dtype: Name of a torch floating type.
        attention: How attention is computed, by transformers' names; as it is if ``None``.
        what: What to call the model in an error, for example ``the encoder 'mini'``.
        failure: The error to raise where the files do not load, lack weights, or would need code
            of their own.
        outputs: Runs the loaded model on an input of each kind that it takes.
    """
    if words := needs_torch(what):
        raise failure(words)
    import torch

    weights_dtype = getattr(torch, dtype)
    refuse_adapter_within(directory, what, failure)
    refuse_foreign_code(directory, what, failure)
    how = {} if attention is None else {"attn_implementation": attention}
    try:
        with watched_loading() as loaded, without_video():
            model = architecture(
                str(directory),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"dtype": weights_dtype, "use_safetensors": True, **how},
            )
    except loading_errors() as error:
        if needs_torchvision(error):
            raise failure(f"{what} {TORCHVISION}") from error
        raise failure(f"{what} does not load: {in_short(error)}") from error
    for module in model.modules():
        if isinstance(module, torch.nn.Softmax) and module.dim is None:
            module.dim = -1  # a saved Dense forgets the axis of its activation
        if hasattr(module, "auto_model"):
            refuse_empty_tokenizer(module, what, failure)
            module.register_forward_pre_hook(_suit_the_weights)
            prepare_as_trained(module)
    model = model.to(dtype=weights_dtype).eval()
    refuse_random_weights(loaded, lambda: outputs(model), what=what, failure=failure)
    return model


def refuse_empty_tokenizer(transformer: Any, what: str, failure: type[UniSemError]) -> None:
    """Refuse a tokenizer without words: without its files transformers makes an empty one.

    Args:
        transformer: sentence-transformers' ``Transformer``.
        what: What to call the model in an error.
        failure: The error to raise.
    """
    tokenizer = transformer.tokenizer
    if tokenizer is not None and not tokenizer.get_vocab().keys() - {*tokenizer.all_special_tokens}:
        raise failure(
            f"{what} is not whole: it lacks its tokenizer's words, and every text would be the "
            "same to it. Fetch or save it again, whole"
        )


def in_short(error: Exception) -> str:
    """What a library says, in one line; some list all that they know."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= _WORDS else f"{words[:_WORDS]}…"


def _suit_the_weights(transformer: Any, arguments: tuple[dict[str, Any], ...]) -> None:
    """Give pixels the floating type and memory layout of the weights; some models do not."""
    import torch

    features = arguments[0]
    pixels = features.get("pixel_values")
    if pixels is not None and pixels.is_floating_point():
        layout = torch.channels_last if pixels.dim() == 4 else torch.preserve_format
        features["pixel_values"] = pixels.to(transformer.auto_model.dtype, memory_format=layout)
