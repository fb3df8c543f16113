"""`ApartImage`: a picture for Pillow whose pixels another process makes when they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PIL import Image


class ApartImage(Image.Image):
    """A picture of which the header is known.

    Args:
        format: As Pillow's own are named.
        size: Width and height in pixels, as ``draw`` will give them.
        draw: Gives the picture, upright. It may raise an `ImageError`.
    """

    def __init__(self, format: str, size: tuple[int, int], draw: Callable[[], Image.Image]) -> None:
        super().__init__()
        self.format, self._size, self._mode = format, size, "RGBA"
        self._draw: Callable[[], Image.Image] | None = draw

    def load(self) -> Any:
        """See Pillow."""
        if self._draw is not None:
            drawn, self._draw = self._draw(), None
            self._mode, self.im = drawn.mode, drawn.im
        return super().load()
