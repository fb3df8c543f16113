"""Changes that leave what is meant as it is: of a picture, and of what a person types."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageFilter

_STOP = {
    *("a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "have", "in", "into"),
    *("is", "it", "its", "of", "on", "or", "that", "the", "their", "there", "this", "to", "was"),
    *("were", "which", "with"),
}


def on_a_background(image: Image.Image) -> Image.Image:
    """The picture at three fifths of its size before coarse coloured patches, always the same."""
    patches = np.random.default_rng(0).integers(40, 216, (8, 8, 3)).astype(np.uint8)
    ground = Image.fromarray(patches).resize(image.size, Image.Resampling.BICUBIC)
    width, height = (max(1, side * 3 // 5) for side in image.size)
    small = image.resize((width, height), Image.Resampling.BILINEAR)
    ground.paste(small, ((image.width - width) // 2, (image.height - height) // 2))
    return ground


def cropped(image: Image.Image) -> Image.Image:
    """The middle: seven tenths of each side."""
    x, y = (round(0.15 * side) for side in image.size)
    return image.crop((x, y, max(x + 1, image.width - x), max(y + 1, image.height - y)))


def blurred(image: Image.Image) -> Image.Image:
    """Gaussian blur of one hundredth of the longer side."""
    return image.filter(ImageFilter.GaussianBlur(0.01 * max(image.size)))


def verbose(text: str) -> str:
    """The text within the words of somebody who talks to a person."""
    return (
        "Hello, I hope you can help me. I am looking for something that I saw some time ago and "
        f"cannot find any more, it was this: {text}. Could you please show me the best match?"
    )


def keywords(text: str) -> str:
    """The text without its small words; as it is if nothing else is left.

    >>> keywords("A tiger on the stairs of a temple")
    'tiger stairs temple'
    """
    words = [word for word in text.split() if word.casefold().strip(".,;:!?") not in _STOP]
    return " ".join(words) or text


IMAGE_CHANGES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "before another background": on_a_background,
    "cropped": cropped,
    "blurred": blurred,
}
TEXT_CHANGES: Mapping[str, Callable[[str], str]] = {"wordy": verbose, "cut to keywords": keywords}
