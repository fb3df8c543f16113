"""`Pixels`: how a picture becomes the numbers that a model looks at, on Pillow and numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_LARGEST = 4096  # pixels of a side that a model looks at


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """What transformers' image processors do with one picture, in their order.

    Attributes:
        shortest: Pixels that the shorter side is scaled to.
        size: Height and width that it is scaled to, where that does not keep proportions.
        resample: Pillow's number of the filter to scale with.
        crop: Height and width that are cut out of the middle.
        scale: What values from 0 to 255 are multiplied by.
        mean: Subtracted afterwards, for red, green and blue.
        std: Divided by.
    """

    shortest: int | None = None
    size: tuple[int, int] | None = None
    resample: int = int(Image.Resampling.BICUBIC)
    crop: tuple[int, int] | None = None
    scale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def side(self) -> int | None:
        """The longer side of what the model sees of a picture, before anything is cut off."""
        return self.shortest or (max(self.size) if self.size else None)

    def of(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Numbers of pictures.

        Args:
            images: RGB; of one size, unless they are scaled to one.

        Returns:
            ``(n, 3, height, width)`` float32.
        """
        mean, std = (
            np.asarray(three, np.float32).reshape(3, 1, 1) for three in (self.mean, self.std)
        )
        shown = [np.asarray(self._scaled(image), np.float32).transpose(2, 0, 1) for image in images]
        return ((np.stack(shown) * np.float32(self.scale) - mean) / std).astype(np.float32)

    def _scaled(self, image: Image.Image) -> Image.Image:
        if self.shortest is not None:
            short, long = min(image.size), int(self.shortest * max(image.size) / min(image.size))
            sides = (self.shortest if side == short else long for side in image.size)
            image = image.resize((next(sides), next(sides)), Image.Resampling(self.resample))
        elif self.size is not None:
            image = image.resize(self.size[::-1], Image.Resampling(self.resample))
        if self.crop is not None:
            height, width = self.crop
            left, top = (image.width - width) // 2, (image.height - height) // 2
            image = image.crop((left, top, left + width, top + height))
        return image

    @classmethod
    def from_processor(cls, processor: Any) -> Pixels:
        """What one of transformers' image processors does, as far as it is of the usual kind."""
        size = dict(processor.size or {}) if getattr(processor, "do_resize", True) else {}
        crop = dict(processor.crop_size) if getattr(processor, "do_center_crop", False) else {}
        mean, std = np.zeros(3), np.ones(3)
        if getattr(processor, "do_normalize", False):
            mean, std = (
                np.array(_three(processor.image_mean)),
                np.array(_three(processor.image_std)),
            )
        if processor.do_rescale and getattr(processor, "rescale_offset", False):
            mean += 1  # EfficientNet's values are from -1 to 1 then
        if getattr(processor, "include_top", False):  # which divides once more
            std *= _three(processor.image_std)
        return cls(
            shortest=size.get("shortest_edge"),
            size=(size["height"], size["width"]) if "height" in size else None,
            resample=int(getattr(processor, "resample", Image.Resampling.BICUBIC)),
            crop=(crop["height"], crop["width"]) if crop else None,
            scale=float(processor.rescale_factor) if processor.do_rescale else 1.0,
            mean=_three(mean),
            std=_three(std),
        )

    @classmethod
    def from_json(cls, known: Mapping[str, Any]) -> Pixels:
        """Read what `dataclasses.asdict` made of one.

        Raises:
            ValueError: A number is none that a model could have.
        """
        shortest = known["shortest"]
        return cls(
            shortest=None if shortest is None else _side(shortest),
            size=None if known["size"] is None else _sides(known["size"]),
            resample=int(Image.Resampling(known["resample"])),
            crop=None if known["crop"] is None else _sides(known["crop"]),
            scale=_three([known["scale"]] * 3)[0],
            mean=_three(known["mean"]),
            std=_three(known["std"]),
        )


def _side(value: Any) -> int:
    if not isinstance(value, int) or not 1 <= value <= _LARGEST:
        raise ValueError(f"a side of {value!r} pixels")
    return value


def _sides(value: Any) -> tuple[int, int]:
    height, width = value
    return _side(height), _side(width)


def _three(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    if not np.isfinite([red, green, blue]).all():
        raise ValueError(f"{values!r} is not finite")
    return red, green, blue
