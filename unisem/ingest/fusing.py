"""`captioned_vectors`: what a picture has once it is given a caption."""

from __future__ import annotations

from collections.abc import Mapping

from unisem.encoders.base import Encoder
from unisem.errors import ImageError
from unisem.ingest.frames import frames_for, fused_of
from unisem.records import Record, Vector, VectorKind


def captioned_vectors(
    encoder: Encoder, record: Record, before: Mapping[VectorKind, Vector], caption: Vector
) -> dict[VectorKind, Vector]:
    """A picture's own vector, its new caption's, and the fused one if the encoder makes such.

    A picture whose file cannot be read now has no fused vector: that of another caption would find
    it for what it is not said to show.

    Args:
        encoder: The space's.
        record: The picture with its new caption.
        before: Its vectors until now.
        caption: ``(d,)``, the new caption's.
    """
    found: dict[VectorKind, Vector] = {k: rows for k, rows in before.items() if k == "image"}
    found["text"] = caption
    if record.image is not None and record.text and encoder.fuses:
        try:
            frames = list(frames_for(encoder, record.image.read_verified()))
        except ImageError:
            return found
        found["both"] = next(fused_of(encoder, [(record.text, frames)]))
    return found
