"""`read_text`: a text file that a folder really holds."""

from __future__ import annotations

from pathlib import Path

from unisem.errors import ImageError
from unisem.images.reference import ImageRef


def read_text(path: Path, folder: Path) -> str:
    """Read a UTF-8 file as safely as a picture: a regular one, of bounded size, inside its folder.

    Raises:
        ValueError: Says what is wrong with the file.
    """
    try:
        return ImageRef(path=path, root=folder).read_bytes().decode("utf-8-sig")
    except ImageError as error:
        raise ValueError(error.reason) from error
