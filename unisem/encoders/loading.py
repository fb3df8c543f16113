"""Loading an encoder's model through sentence-transformers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from unisem.errors import EncoderError
from unisem.models.loading import load_offline

if TYPE_CHECKING:
    from torch import Tensor


def load_model(name: str, directory: Path, device: str | None, dtype: str) -> Any:
    """Load a ``SentenceTransformer`` for inference, without network and without foreign code.

    Args:
        name: What to call the model in an error.
        directory: A model directory with safetensors weights.
        device: As for ``torch``; the best one present if ``None``.
        dtype: Name of a torch floating type.

    Raises:
        EncoderError: The files do not load, lack weights, or would need code of their own.
    """
    import torch
    from sentence_transformers import SentenceTransformer

    model = load_offline(
        SentenceTransformer,
        directory,
        device=device,
        dtype=dtype,
        what=f"the encoder {name!r}",
        failure=EncoderError,
        outputs=_outputs,
    )
    for module in model.modules():
        if isinstance(module, torch.nn.Softmax) and module.dim is None:
            module.dim = -1  # a saved Dense forgets the axis of its activation
    # Convolutions run up to three times faster with the channels last in memory.
    return model.to(memory_format=torch.channels_last)


def _outputs(model: Any) -> Iterator[Tensor]:
    """The vectors of a text in both roles, and of a picture."""
    from sentence_transformers.util import batch_to_device

    probes: list[tuple[str, str, Any]] = [
        ("text", "query", "a"),
        ("text", "document", "a"),
        ("image", "document", Image.new("RGB", (64, 64))),
    ]
    for modality, role, value in probes:
        if model.supports(modality):
            features = model.preprocess([{modality: value}], task=role)
            yield model(batch_to_device(features, model.device))["sentence_embedding"]
