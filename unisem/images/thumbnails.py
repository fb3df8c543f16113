"""`Thumbnails`: small copies of pictures for a page, within a limit of bytes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO

import numpy as np
from PIL import Image

from unisem.errors import ImageError
from unisem.images.reference import ImageRef, open_image

_SIDE = 224  # pixels of the longer side: about 112 on the page, on a dense screen
_PAGE_SIDE = 800  # of a whole page's: its headings can be read
_LIMIT = 12_000_000  # characters of all data URLs together; a page that can be mailed


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small copy, or the reason why there is none.

    Attributes:
        url: A ``data:`` URL; empty if there is a problem.
        width: Pixels.
        height: Pixels.
        mat: The colour of the picture's edge, to continue it around the picture.
        problem: Why there is no copy.
    """

    url: str = ""
    width: int = 0
    height: int = 0
    mat: str = ""
    problem: str = ""


class Thumbnails:
    """Makes small copies, each picture's once, until they fill the limit.

    Args:
        limit: Characters that all ``data:`` URLs on the page may have together.
        side: Pixels of a copy's longer side.
    """

    def __init__(self, limit: int = _LIMIT, *, side: int = _SIDE) -> None:
        self._left = limit
        self._side = side
        self._made: dict[tuple[ImageRef, int], Thumbnail] = {}

    def of(self, image: ImageRef) -> Thumbnail:
        """Return the picture's copy; every call counts, since the page repeats the copy."""
        return self._counted((image, self._side), partial(open_image, image, min_side=self._side))

    def of_page(self, image: ImageRef) -> Thumbnail | None:
        """A copy of the page that a region is a part of, framed; ``None`` for other pictures."""
        if image.region is None or image.region.box is None:
            return None
        return self._counted((image, _PAGE_SIDE), lambda: image.open_page() or open_image(image))

    def _counted(self, key: tuple[ImageRef, int], opened: Callable[[], Image.Image]) -> Thumbnail:
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = _thumbnail(opened, key[1])
        if len(made.url) > self._left:
            return Thumbnail(problem="is left out: the page has enough pictures")
        self._left -= len(made.url)
        return made


def _thumbnail(opened: Callable[[], Image.Image], side: int) -> Thumbnail:
    try:
        pixels = opened()
    except ImageError as error:
        return Thumbnail(problem=error.summary)
    pixels.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    pixels.save(buffer, format="WEBP", quality=78, method=4)
    url = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Thumbnail(url, pixels.width, pixels.height, _edge_colour(pixels))


def _edge_colour(pixels: Image.Image) -> str:
    rows = np.asarray(pixels)
    edge = np.concatenate([rows[0], rows[-1], rows[:, 0], rows[:, -1]])
    red, green, blue = np.median(edge, axis=0).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"
