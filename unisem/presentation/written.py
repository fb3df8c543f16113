"""`written`: words as a picture, for a place where nothing but a picture can stand."""

from __future__ import annotations

import textwrap
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from unisem.images.for_models import ModelImage

_COLUMNS = 40
_MARGIN = 16  # pixels
_SIZE = 20


def written(text: str) -> ModelImage:
    """Return a small white picture with the text on it; the same text gives the same bytes.

    >>> written("This picture does not exist.").mime_type
    'image/png'
    """
    words = text.encode("ascii", "replace").decode("ascii")
    lines = "\n".join(textwrap.wrap(words, _COLUMNS))
    font = ImageFont.load_default(_SIZE)
    box = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((0, 0), lines, font)
    width, height = (int(side) + 2 * _MARGIN for side in box[2:])
    picture = Image.new("L", (width, height), "white")
    ImageDraw.Draw(picture).multiline_text((_MARGIN, _MARGIN), lines, "black", font)
    buffer = BytesIO()
    picture.save(buffer, format="PNG")
    return ModelImage(buffer.getvalue(), "image/png")
