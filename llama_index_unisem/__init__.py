"""UniSem for LlamaIndex: an embedding for texts and pictures, a retriever and a vector store.

Names are imported when first used, so that importing the package costs milliseconds and loads
neither torch nor Faiss.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unisem._version import __version__

if TYPE_CHECKING:
    from llama_index_unisem.embeddings.embedding import UniSemEmbedding
    from llama_index_unisem.retrievers.retriever import UniSemRetriever
    from llama_index_unisem.vector_stores.store import UniSemVectorStore

_HOMES = {
    "UniSemEmbedding": "llama_index_unisem.embeddings.embedding",
    "UniSemRetriever": "llama_index_unisem.retrievers.retriever",
    "UniSemVectorStore": "llama_index_unisem.vector_stores.store",
}

__all__ = ["UniSemEmbedding", "UniSemRetriever", "UniSemVectorStore", "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'llama_index_unisem' has no attribute {name!r}")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] == "llama_index":
            raise ImportError(
                "llama_index_unisem needs llama-index-core, which is not installed; "
                'run: pip install "unisem[llama-index]"',
                name=error.name,
            ) from error
        raise


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
