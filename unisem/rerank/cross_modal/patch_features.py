"""`PatchFeatures`: what an encoder's image tower knows of every place of a picture."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

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

_VERSION = 1  # of how maps are made; another one makes other tokens


class PatchFeatures:
    """Feature maps of an encoder's own image tower, before it makes one vector of a picture.

    Of a convolutional tower, such as `mini`'s, the last map of each of the two smallest sizes, side
    by side: the smaller knows more, the larger where. Of a Transformer, as in CLIP, SigLIP and the
    ViT of two towers, the vectors of its patches after the last layer. Each map is brought to
    ``side`` rows and columns: a larger one by means, a smaller one by repetition.

    Args:
        encoder: Whose tower; pictures are prepared as it does.
        side: Rows and columns.

    Raises:
        EncoderError: It has no image tower that can be looked into.
    """

    def __init__(self, encoder: Encoder, *, side: int = 7) -> None:
        encoder = in_torch(encoder)
        if not isinstance(encoder, SentenceTransformerEncoder):
            raise EncoderError(
                f"the encoder {encoder.name!r} has no image tower to look into; pass one of "
                "sentence-transformers, such as mini, a CLIP or two towers"
            )
        self.encoder = encoder
        self.side = side

    @lazy_property
    def fingerprint(self) -> str:
        """Hex digest that differs between towers, or sides, whose maps must not be mixed."""
        return self._digest(side_fingerprint(self.encoder, "image", 1))

    @property
    def former_fingerprint(self) -> str | None:
        """What it was before pictures were prepared as they are now; see `Encoder`."""
        tower = former_side_fingerprint(self.encoder, "image", 1)
        return None if tower is None else self._digest(tower)

    def _digest(self, tower: str) -> str:
        return hashlib.sha256(f"{_VERSION} {tower} {self.side}".encode()).hexdigest()

    @lazy_property
    def width(self) -> int:
        """Channels of the maps."""
        probe = self.encoder.prepare_image(Image.new("RGB", (64, 64)))
        return int(self.of([probe]).shape[-1])

    def of(self, prepared: Sequence[Image.Image]) -> Tensor:
        """Feature maps of pictures.

        Args:
            prepared: From the encoder's `prepare_image`; a handful, they pass the tower at once.

        Returns:
            ``(n, side * side, width)`` float32 on the encoder's device, row by row.

        Raises:
            EncoderError: The tower gives no maps.
        """
        import torch

        self.encoder.require("image")
        inputs = self.encoder.preprocess_images(prepared)
        pixels = inputs.get("pixel_values")
        tower = self._tower
        if not isinstance(pixels, torch.Tensor) or pixels.dim() != 4:
            raise self._no_maps("it does not take pictures as pixels of one size")
        first = next(tower.parameters())
        pixels = pixels.to(
            first.device, first.dtype, memory_format=torch.channels_last, non_blocking=True
        )
        with torch.inference_mode():
            states = tower(pixels, output_hidden_states=True).hidden_states
        if not states:
            raise self._no_maps("it gives no hidden states")
        return torch.cat([self._sized(each) for each in self._maps(states)], -1).clone()

    @lazy_property
    def _tower(self) -> Any:
        inner = getattr(side_modules(self.encoder.model, "image")[0], "auto_model", None)
        if inner is None:
            raise self._no_maps("its image side does not begin with a network of transformers")
        return inner.vision_model if is_joint(inner) else inner

    def _maps(self, states: Sequence[Tensor]) -> list[Tensor]:
        """``(n, c, rows, columns)`` each."""
        if states[-1].dim() == 4:
            last = {tuple(state.shape[2:]): state for state in states}
            return list(last.values())[-2:]
        if states[-1].dim() != 3:
            raise self._no_maps("its hidden states are neither maps nor sequences")
        vectors = states[-1]
        rows = math.isqrt(vectors.shape[1])  # a class token and registers come first
        patches = vectors[:, vectors.shape[1] - rows * rows :]
        return [patches.transpose(1, 2).reshape(len(patches), -1, rows, rows)]

    def _sized(self, feature_map: Tensor) -> Tensor:
        from torch.nn import functional

        if min(feature_map.shape[2:]) > self.side:
            sized = functional.adaptive_avg_pool2d(feature_map.float(), self.side)
        else:
            sized = functional.interpolate(feature_map.float(), (self.side, self.side))
        return sized.flatten(2).transpose(1, 2)

    def _no_maps(self, why: str) -> EncoderError:
        return EncoderError(
            f"the image tower of the encoder {self.encoder.name!r} gives no feature maps: {why}; "
            "pass mini, a CLIP, a SigLIP or two towers"
        )
