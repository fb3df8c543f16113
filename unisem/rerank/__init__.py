"""Rerankers: what reorders a handful of hits by looking at query and record together."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unisem.rerank.base import Reranker

if TYPE_CHECKING:
    from unisem.rerank.cross_encoder import CrossEncoderReranker, load_reranker

_HOMES = {
    "CrossEncoderReranker": "unisem.rerank.cross_encoder",
    "load_reranker": "unisem.rerank.cross_encoder",
}

__all__ = ["CrossEncoderReranker", "Reranker", "load_reranker"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'unisem.rerank' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
