"""`is_frozen`: whether a space's directory is a copy that must not change; `held_frozen`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from unisem.common.filelock import FileLock

FROZEN = "replica.json"
"""A directory with this file is a version of a published space, kept here to be read only."""
IN_USE = "in-use.lock"
"""Who uses such a directory holds this file's lock with others; who removes it, alone."""


def is_frozen(directory: Path) -> bool:
    """Whether nothing in the directory is to be written, whoever may."""
    return (directory / FROZEN).exists()


def held_frozen(directory: Path) -> FileLock | None:
    """Keep a frozen directory from being removed until this is closed.

    ``None`` if it is not frozen, or has no locks, as on a medium that cannot be written.
    """
    if is_frozen(directory):
        with suppress(OSError):
            return FileLock(directory / IN_USE, shared=True, wait=True)
    return None
