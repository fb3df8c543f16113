"""Pictures: where their pixels are, how they are decoded, where they may lie."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unisem.images.reference import ImageRef, ImageSource, open_image

_HOMES = {
    "ImageRef": "unisem.images.reference",
    "ImageSource": "unisem.images.reference",
    "open_image": "unisem.images.reference",
}

__all__ = ["ImageRef", "ImageSource", "open_image"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'unisem.images' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
