"""Rerankers: what reorders a handful of hits by looking at query and record together."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unisem.rerank.base import Reranker
from unisem.rerank.ranking import rank
from unisem.rerank.reordering import reorder

if TYPE_CHECKING:
    from unisem.rerank.hub import CrossEncoderReranker, load_reranker

# Models stand on `unisem.encoders`, which stands on `unisem.search`, which stands on the above.
_HOMES = {
    "CrossEncoderReranker": "unisem.rerank.hub",
    "load_reranker": "unisem.rerank.hub",
}

__all__ = ["CrossEncoderReranker", "Reranker", "load_reranker", "rank", "reorder"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'unisem.rerank' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
