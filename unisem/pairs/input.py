"""`Input`: a text, a picture, or both together: one side of a pair."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from unisem.images.reference import ImageRef

Form = Literal["text", "image", "both"]
"""What an input is made of."""


@dataclass(frozen=True, slots=True)
class Input:
    """What is asked, what is found, or what must not be found.

    Attributes:
        text: A text.
        image: Where a picture's pixels are.
        image_id: The picture's id; inputs of one picture share it. If ``None``, where it lies, or
            the SHA-256 of its bytes where these are at hand.

    Raises:
        ValueError: It has neither a text nor a picture.

    >>> Input("a tiger").form
    'text'
    """

    text: str | None = None
    image: ImageRef | None = None
    image_id: str | None = None

    def __post_init__(self) -> None:
        if self.text is None and self.image is None:
            raise ValueError("an input needs a text, a picture, or both")
        if self.image is not None and self.image_id is None:
            object.__setattr__(self, "image_id", _id_of(self.image))

    @property
    def form(self) -> Form:
        """``"text"``, ``"image"``, or ``"both"``."""
        if self.image is None:
            return "text"
        return "image" if self.text is None else "both"

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return self.image.name if self.image is not None else f"{(self.text or '')[:60]!r}"


def _id_of(image: ImageRef) -> str:
    """What tells a picture from others; the name of bytes is their number only."""
    if image.sha256 is not None:
        return image.sha256
    if image.data is not None:
        return hashlib.sha256(image.data).hexdigest()
    return image.name if image.region is None else f"{image.name} {image.region.to_json()}"
