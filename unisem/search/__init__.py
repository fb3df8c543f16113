"""Searching: what is asked, how candidates become hits, and in which order."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unisem.records import EmbeddedRecord
    from unisem.search.query import Mode, Query
    from unisem.stores.hits import Hit
    from unisem.stores.selection import Match, Selection

_HOMES = {
    "EmbeddedRecord": "unisem.records",
    "Hit": "unisem.stores.hits",
    "Match": "unisem.stores.selection",
    "Mode": "unisem.search.query",
    "Query": "unisem.search.query",
    "Selection": "unisem.stores.selection",
}

__all__ = ["EmbeddedRecord", "Hit", "Match", "Mode", "Query", "Selection"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'unisem.search' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
