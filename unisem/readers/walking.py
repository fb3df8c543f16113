"""Which of a folder's files are a person's: `walked`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from unisem.common.skipped import Skipped

_LARGEST_MANIFEST = 1 << 20  # bytes of the file that tells a space
_OF_SYSTEMS = {
    "@eadir",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "__macosx",
    "node_modules",
    "__pycache__",
    "thumbs.db",
    "desktop.ini",
}
"""Names, in small letters, of what systems and tools keep for themselves beside people's files."""


def walked(folder: Path) -> tuple[list[Path], list[Skipped]]:
    """The files in a folder and its subfolders, sorted, and the folders that are not entered.

    Passed over are hidden files, what Office writes beside a file that is open, spaces, and what
    systems and tools keep.
    """
    found: list[Path] = []
    closed: list[Skipped] = []

    def report(error: OSError) -> None:
        closed.append(Skipped(str(error.filename), f"cannot be read ({error.strerror})"))

    for place, subfolders, names in os.walk(folder, onerror=report):
        here = Path(place)
        entered: list[str] = []
        for name in sorted(filter(_is_wanted, subfolders)):
            if (here / name).is_symlink():
                closed.append(
                    Skipped(str(here / name), "is a link to a folder; index that by its name")
                )
            elif not is_space(here / name):
                entered.append(name)
        subfolders[:] = entered
        found += [here / name for name in sorted(filter(_is_wanted, names))]
    return found, closed


def _is_wanted(name: str) -> bool:
    return not name.startswith((".", "~$")) and name.lower() not in _OF_SYSTEMS


def is_space(folder: Path) -> bool:
    """Whether a folder is a space, or a bare store: what lies in it is nobody's document."""
    if (folder / "catalog.sqlite").exists():
        return True
    try:
        with (folder / "manifest.json").open("rb") as file:
            parts = json.loads(file.read(_LARGEST_MANIFEST))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(parts, dict) and {"encoder", "fingerprint", "store"} <= parts.keys()
