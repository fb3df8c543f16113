"""Pictures drawn for tests."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.toy import COLOURS


def solid(colour: str | tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> Image.Image:
    """A picture of one colour."""
    return Image.new("RGB", size, COLOURS[colour] if isinstance(colour, str) else colour)


def noise(seed: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """A picture of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    """The picture's bytes in a file format."""
    buffer = BytesIO()
    image.save(buffer, format=format, **options)
    return buffer.getvalue()


def colour_folder(folder: Path) -> Path:
    """A folder ``folder`` with one captioned picture per colour and one text."""
    folder.mkdir(parents=True)
    for colour in COLOURS:
        solid(colour).save(folder / f"{colour}.png")
        (folder / f"{colour}.txt").write_text(f"a {colour} card", encoding="utf-8")
    (folder / "about.txt").write_text("# Cards\n\nCards are made of paper.\n", encoding="utf-8")
    return folder
