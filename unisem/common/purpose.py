"""What this process is for, which is told to whoever has to wait for it."""

from __future__ import annotations

_said: list[str] = []


def say_purpose(words: str) -> None:
    """Say what this process is, as ``unisem serve at http://127.0.0.1:8000``."""
    _said[:] = [words]


def purpose() -> str | None:
    """What has been said."""
    return _said[0] if _said else None
