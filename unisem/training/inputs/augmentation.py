"""`Augmentation`: a picture a little different every time it is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from unisem.training.settings import Setting

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

_CHANGES = "Random changes to pictures"


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Random changes to training pictures; each is off unless it is asked for.

    Mirroring turns writing, traffic signs and "left" into something else. A crop's sides are
    between 3:4 and 4:3 of the picture's own (Szegedy et al. 2015,
    https://arxiv.org/abs/1409.4842); CLIP trains with 0.9.

    Attributes:
        crop: Crop pictures, to this share of their area at least.
        flip: Mirror this share of the pictures; not where they bear text.
        colour: Change brightness, contrast and saturation, each by up to this share.
    """

    crop: Annotated[float, Setting(_CHANGES, "SHARE")] = 1.0
    flip: Annotated[float, Setting(_CHANGES, "SHARE")] = 0.0
    colour: Annotated[float, Setting(_CHANGES, "CHANGE")] = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.crop <= 1:
            raise ValueError(f"crop must be above 0 and at most 1, not {self.crop}")
        if not 0 <= self.flip <= 1:
            raise ValueError(f"flip is a probability, from 0 to 1, not {self.flip}")
        if not 0 <= self.colour < 1:
            raise ValueError(f"colour must be from 0 to below 1, not {self.colour}")

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Change one RGB picture; the same generator state gives the same result."""
        from PIL import ImageEnhance, ImageOps

        if self.crop < 1:
            image = self._cropped(image, rng)
        if self.flip and rng.random() < self.flip:
            image = ImageOps.mirror(image)
        if self.colour:
            for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
                image = enhance(image).enhance(float(1 + self.colour * rng.uniform(-1, 1)))
        return image

    def _cropped(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        area = rng.uniform(self.crop, 1)
        widest = min(4 / 3, 1 / area)  # wider, and a side would be longer than the picture's
        stretch = math.exp(rng.uniform(-math.log(widest), math.log(widest)))
        width = min(image.width, max(1, round(image.width * math.sqrt(area * stretch))))
        height = min(image.height, max(1, round(image.height * math.sqrt(area / stretch))))
        left = int(rng.integers(0, image.width - width + 1))
        top = int(rng.integers(0, image.height - height + 1))
        return image.crop((left, top, left + width, top + height))
