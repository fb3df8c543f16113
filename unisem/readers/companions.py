"""What lies beside a picture and belongs to it: a caption, XMP, the film of a Live Photo.

Their names are the picture's with another suffix, in small letters or capitals.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from unisem.errors import ImageError
from unisem.images.facts.xmp import LARGEST
from unisem.images.reference import ImageRef

VIDEO = "video"
"""The metadata's key for the film of a Live Photo, named as ``file_name`` names the picture."""

_LIVE = {".heic", ".heif", ".jpg", ".jpeg"}  # what telephones write beside a film
_LISTINGS = 16  # folders of which the names are kept

Find = Callable[[Path], Path | None]
"""Gives the file of a name, in whatever letters; ``None`` if there is none."""


def on_disk(path: Path) -> Path | None:
    """The file of a name as it lies on the disk, the very name first."""
    if os.path.lexists(path):
        return path
    folder = os.fspath(path.parent)
    try:
        names = _listing(folder, os.stat(folder).st_mtime_ns)
    except OSError:
        return None
    name = names.get(path.name.casefold())
    return None if name is None else path.with_name(name)


def among(files: Iterable[Path]) -> Find:
    """What finds a file among those that are known."""
    known = sorted(files, reverse=True)
    exact = set(known)
    folded = {(path.parent, path.name.casefold()): path for path in known}
    return lambda path: path if path in exact else folded.get((path.parent, path.name.casefold()))


def caption_of(picture: Path, find: Find = on_disk) -> Path | None:
    """The text file that holds a picture's caption, ``a.png.txt`` or ``a.txt``."""
    return _first((picture.name + ".txt", picture.stem + ".txt"), picture, find)


def xmp_of(picture: Path, find: Find = on_disk) -> Path | None:
    """What a program says of a picture: ``a.cr2.xmp`` (darktable), ``a.xmp`` (Adobe)."""
    return _first((picture.name + ".xmp", picture.stem + ".xmp"), picture, find)


def film_of(picture: Path, find: Find = on_disk) -> Path | None:
    """The film that a telephone took with a picture, ``IMG_1.MOV`` beside ``IMG_1.HEIC``."""
    if picture.suffix.lower() not in _LIVE:
        return None
    return _first((picture.stem + ".mov", picture.stem + ".mp4"), picture, find)


def read_xmp(path: Path, folder: Path) -> bytes:
    """The bytes of a sidecar; none if it cannot be read, or is larger than XMP is read.

    Args:
        path: As `xmp_of` gives it.
        folder: What it must lie in, symbolic links resolved.
    """
    try:
        return ImageRef(path=path, root=folder).read_start(LARGEST + 1)
    except ImageError:
        return b""


def _first(names: Iterable[str], picture: Path, find: Find) -> Path | None:
    found = (find(picture.with_name(name)) for name in names)
    return next((path for path in found if path is not None), None)


@lru_cache(maxsize=_LISTINGS)
def _listing(folder: str, changed: int) -> Mapping[str, str]:
    """The names in a folder by their small letters, as they are since it was changed."""
    del changed
    return {name.casefold(): name for name in sorted(os.listdir(folder), reverse=True)}
