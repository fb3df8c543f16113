"""`WordVectors`: what an encoder's text tower makes of every word, before it makes one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from unisem.common.lazy_property import lazy_property
from unisem.encoders.base import Encoder
from unisem.encoders.loading import in_torch
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.encoders.sides import (
    former_side_fingerprint,
    is_joint,
    side_fingerprint,
    side_modules,
)
from unisem.errors import EncoderError

if TYPE_CHECKING:
    from torch import Tensor


class WordVectors:
    """Token vectors of an encoder's own text tower.

    Args:
        encoder: Whose tower; texts are read as its queries are.

    Raises:
        EncoderError: It has no text tower that can be looked into.
    """

    def __init__(self, encoder: Encoder) -> None:
        encoder = in_torch(encoder)
        if not isinstance(encoder, SentenceTransformerEncoder):
            raise EncoderError(
                f"the encoder {encoder.name!r} has no text tower to look into; pass one of "
                'sentence-transformers, or train with words="own"'
            )
        self.encoder = encoder

    @lazy_property
    def fingerprint(self) -> str:
        """Hex digest that differs between towers whose vectors must not be mixed."""
        return side_fingerprint(self.encoder, "text", 1)

    @property
    def former_fingerprint(self) -> str | None:
        """What it was before texts were prepared as they are now; see `Encoder`."""
        return former_side_fingerprint(self.encoder, "text", 1)

    @lazy_property
    def width(self) -> int:
        """Numbers in a token's vector."""
        return int(self.of(["a"], 8)[0].shape[-1])

    def of(self, texts: Sequence[str], length: int) -> tuple[Tensor, Tensor]:
        """Token vectors of texts.

        Args:
            texts: A handful; they pass the tower at once.
            length: Tokens that are kept of each, from the first.

        Returns:
            ``(n, l, width)`` float32, and ``(n, l)`` bool: which of them are tokens; on the
            encoder's device.
        """
        import torch

        self.encoder.require("text")
        module: Any = side_modules(self.encoder.model, "text")[0]
        inner = getattr(module, "auto_model", None)
        if inner is None:
            raise EncoderError(
                f"the text side of the encoder {self.encoder.name!r} does not begin with a network "
                'of transformers; train with words="own"'
            )
        inputs = self.encoder.preprocess_texts(texts, "query")
        inputs = {
            key: value.to(inner.device) if isinstance(value, torch.Tensor) else value
            for key, value in inputs.items()
        }
        mask = inputs.get("attention_mask")  # SigLIP reads its padding, too
        if mask is None:
            mask = torch.ones_like(inputs["input_ids"])
        with torch.inference_mode():
            if is_joint(inner):
                tower = inner.text_model
                vectors = tower(inputs["input_ids"], inputs.get("attention_mask")).last_hidden_state
            else:
                vectors = module(inputs)["token_embeddings"]
        return vectors[:, :length].float().clone(), mask[:, :length].bool()
