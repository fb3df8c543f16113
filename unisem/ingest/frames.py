"""`frames_for`: a picture as an encoder wants it; what becomes of its frames' vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from unisem.encoders.base import Encoder, rows_of
from unisem.images.frames import decode_middle
from unisem.records import Vector


def frames_for(encoder: Encoder, data: bytes) -> Iterator[Image.Image]:
    """A picture as an encoder wants it; of an animation its middle frame, too.

    Raises:
        ImageError: The picture, or the first frame, cannot be used.
    """
    yield encoder.prepare_image(data)
    if (middle := decode_middle(data, "picture")) is not None:
        yield encoder.prepare_image(middle)


def fused_of(
    encoder: Encoder, pairs: Sequence[tuple[str, Sequence[Image.Image]]]
) -> Iterator[Vector]:
    """The fused vectors of texts with prepared pictures, as a store takes them.

    Args:
        encoder: One that fuses.
        pairs: Each text with the frames of its picture.

    Raises:
        EncoderError: A vector is zero or not finite.
    """
    said = [text for text, frames in pairs for _ in frames]
    shown = [frame for _, frames in pairs for frame in frames]
    rows = iter(rows_of(encoder, encoder.encode_prepared_pairs(said, shown)) if said else ())
    yield from (one_or_several([next(rows) for _ in frames]) for _, frames in pairs)


def one_or_several(rows: Sequence[Vector]) -> Vector:
    """A record's vectors of one kind, as a store takes them."""
    return rows[0] if len(rows) == 1 else np.stack(rows)
