"""`Question`: a picture that is worth a caption, and what might be said of it."""

from __future__ import annotations

from dataclasses import dataclass

from unisem.images.reference import ImageRef


@dataclass(frozen=True, slots=True)
class Question:
    """One picture that a person is asked about.

    Attributes:
        record_id: The record's id.
        image: The picture.
        suggestions: Captions to accept or to correct, the likeliest first.
        reason: Why this picture.
    """

    record_id: str
    image: ImageRef
    suggestions: tuple[str, ...]
    reason: str
