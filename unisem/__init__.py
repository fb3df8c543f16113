"""UniSem: one semantic space for text and images, and retrieval that finds the right picture.

Names are imported when first used, so ``import unisem`` costs milliseconds and no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unisem._version import __version__

if TYPE_CHECKING:
    from unisem.encoders import Encoder, load_encoder
    from unisem.images.reference import ImageRef
    from unisem.records import Record
    from unisem.rerank import Reranker, load_reranker
    from unisem.search.query import Query
    from unisem.space import IngestReport, SemanticSpace
    from unisem.stores.hits import Hit

_HOMES = {
    "Encoder": "unisem.encoders",
    "Hit": "unisem.stores.hits",
    "ImageRef": "unisem.images.reference",
    "IngestReport": "unisem.space",
    "Query": "unisem.search.query",
    "Record": "unisem.records",
    "Reranker": "unisem.rerank",
    "SemanticSpace": "unisem.space",
    "load_encoder": "unisem.encoders",
    "load_reranker": "unisem.rerank",
}

__all__ = [
    "Encoder",
    "Hit",
    "ImageRef",
    "IngestReport",
    "Query",
    "Record",
    "Reranker",
    "SemanticSpace",
    "__version__",
    "load_encoder",
    "load_reranker",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'unisem' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
