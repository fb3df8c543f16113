"""Files that appear whole: `publish`, which outlasts a power cut, and `write_whole`."""

from __future__ import annotations

import os
from pathlib import Path


def publish(temporary: Path, final: Path) -> None:
    """Rename a finished file into its place so that it survives a power cut, whole."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(final)
    fsync_folder(final.parent)


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder safe; without it a renamed file may be gone again."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def write_whole(path: Path, text: str) -> None:
    """Write a text as UTF-8 so that nobody sees half of it; half surrogates become ``?``.

    Raises:
        OSError: It cannot be written.
    """
    temporary = path.with_name(path.name + ".partial")
    temporary.write_text(text, encoding="utf-8", errors="replace")
    temporary.replace(path)
