"""`CaptionedPictures`: what a retrieval benchmark ranks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True, slots=True)
class CaptionedPictures:
    """Pictures with captions.

    Attributes:
        captions: Distinct captions, sorted.
        pictures: Each other's candidates.
        relevant: For each caption the positions of its pictures.
    """

    captions: list[str]
    pictures: list[Image.Image]
    relevant: list[list[int]]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, Image.Image]]) -> CaptionedPictures:
        """Gather pictures by caption, in the order in which they come."""
        by_caption: dict[str, list[Image.Image]] = {}
        for caption, picture in pairs:
            by_caption.setdefault(caption, []).append(picture)
        captions = sorted(by_caption)
        pictures = [picture for caption in captions for picture in by_caption[caption]]
        places = iter(range(len(pictures)))
        relevant = [[next(places) for _ in by_caption[caption]] for caption in captions]
        return cls(captions, pictures, relevant)


def opaque_colours(picture: Image.Image) -> tuple[int, int]:
    """Opaque pixels of an RGBA picture, and their distinct colours at five bits a channel.

    Photographs have many colours, drawings few.
    """
    pixels = np.asarray(picture)
    opaque = pixels[pixels[..., 3] > 128][:, :3] // 8
    return len(opaque), len(np.unique(opaque.astype(np.int64) @ np.array([1024, 32, 1])))
