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

_KINDS = {".txt", ".xmp", ".mov", ".mp4"}
_LIVE = {".heic", ".heif", ".jpg", ".jpeg"}  # what telephones write beside a film
_LISTINGS = 16  # folders of which the names are kept

Find = Callable[[str, str], Path | None]
"""Gives the file of a folder and a name, in whatever letters; ``None`` if there is none.

Folder and name are text, as paths cost a watched folder of very many pictures most of its time.
"""


def on_disk(folder: str, name: str) -> Path | None:
    """The file of a name as it lies on the disk, the very name first."""
    if os.path.lexists(path := os.path.join(folder, name)):
        return Path(path)
    try:
        here = folder or os.curdir
        names = _listing(os.path.abspath(here), os.stat(here).st_mtime_ns)
    except OSError:
        return None
    found = names.get(name.casefold())
    return None if found is None else Path(folder, found)


def among(files: Iterable[Path]) -> Find:
    """What finds a file among those that are known."""
    exact: dict[tuple[str, str], Path] = {}
    folded: dict[tuple[str, str], Path] = {}
    for path in sorted(files, reverse=True):
        folder, name = os.path.split(path)
        if os.path.splitext(name)[1].casefold() in _KINDS:
            exact[folder, name] = folded[folder, name.casefold()] = path
    return lambda folder, name: exact.get((folder, name)) or folded.get((folder, name.casefold()))


def caption_of(picture: Path, find: Find = on_disk) -> Path | None:
    """The text file that holds a picture's caption, ``a.png.txt`` or ``a.txt``."""
    return _named_like(picture, ".txt", find)


def xmp_of(picture: Path, find: Find = on_disk) -> Path | None:
    """What a program says of a picture: ``a.cr2.xmp`` (darktable), ``a.xmp`` (Adobe)."""
    return _named_like(picture, ".xmp", find)


def film_of(picture: Path, find: Find = on_disk) -> Path | None:
    """The film that a telephone took with a picture, ``IMG_1.MOV`` beside ``IMG_1.HEIC``."""
    if picture.suffix.lower() not in _LIVE:
        return None
    folder, name = os.path.split(picture)
    stem = os.path.splitext(name)[0]
    return find(folder, stem + ".mov") or find(folder, stem + ".mp4")


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


def _named_like(picture: Path, suffix: str, find: Find) -> Path | None:
    """What is named like a picture with the suffix behind its own, or in place of it."""
    folder, name = os.path.split(picture)
    return find(folder, name + suffix) or find(folder, os.path.splitext(name)[0] + suffix)


@lru_cache(maxsize=_LISTINGS)
def _listing(folder: str, changed: int) -> Mapping[str, str]:
    """The names in a folder by their small letters, as they are since it was changed."""
    del changed
    return {name.casefold(): name for name in sorted(os.listdir(folder), reverse=True)}
