"""`is_frozen`: whether a space's directory is a copy that must not change."""

from __future__ import annotations

from pathlib import Path

FROZEN = "replica.json"
"""A directory with this file is a version of a published space, kept here to be read only."""


def is_frozen(directory: Path) -> bool:
    """Whether nothing in the directory is to be written, whoever may."""
    return (directory / FROZEN).exists()
