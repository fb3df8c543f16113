"""Loading a cross encoder through sentence-transformers, without network and foreign code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from unisem.errors import RerankerError
from unisem.models.loading import load_offline
from unisem.rerank.pair_format import PairFormat

if TYPE_CHECKING:
    from torch import Tensor


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
        RerankerError: The files do not load, lack weights, would need code of their own, or the
            model does not give one score for a pair.
    """
    from sentence_transformers import CrossEncoder

    model = load_offline(
        CrossEncoder,
        directory,
        device=device,
        dtype=dtype,
        what=f"the reranker {name!r}",
        failure=RerankerError,
        outputs=_outputs,
    )
    if model.num_labels != 1:
        raise RerankerError(
            f"{name!r} gives {model.num_labels} labels for a pair; a reranker gives one score"
        )
    if max_length is not None:
        model.max_seq_length = min(max_length, model.max_seq_length or max_length)
    return model


def _outputs(model: Any) -> Iterator[Tensor]:
    """The scores of two texts, and of a text and a picture."""
    from sentence_transformers.util import batch_to_device

    form = PairFormat(model)
    pictures = [None, Image.new("RGB", (64, 64))] if form.sees_images else [None]
    for picture in pictures:
        features = model.preprocess([(form.side("a"), form.side("b", picture))])
        yield model(batch_to_device(features, model.device))["scores"]
