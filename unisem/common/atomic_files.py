"""`publish`: files that appear whole, and stay after a power cut."""

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
