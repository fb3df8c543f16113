"""`Pair`: a picture and a caption that belong together."""

from __future__ import annotations

from dataclasses import dataclass

from unisem.common.skipped import Skipped
from unisem.images.reference import ImageRef


@dataclass(frozen=True, slots=True)
class Pair:
    """One caption of one picture.

    Attributes:
        image: Where the picture's pixels are.
        caption: What is said of it.
        image_id: The picture's id; pairs of one picture share it.
        wrong: Ids of pictures that a person was shown for this caption and did not take. Training
            shows those that are among its pairs as wrong ones.
    """

    image: ImageRef
    caption: str
    image_id: str
    wrong: tuple[str, ...] = ()


ReadPairs = tuple[tuple[Pair, ...], tuple[Skipped, ...]]
"""What a source gives: its pairs, and what could not be used."""
