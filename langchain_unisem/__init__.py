"""UniSem for LangChain: find texts and pictures in one space, and show both to a chat model.

Names are imported when first used, so ``import langchain_unisem`` costs milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from unisem._version import __version__

if find_spec("langchain_core") is None:
    raise ImportError(
        "langchain_unisem needs langchain-core, which is not installed; "
        'install it with: pip install "unisem[langchain]"'
    )

if TYPE_CHECKING:
    from langchain_unisem.embeddings import UniSemEmbeddings
    from langchain_unisem.messages import aformat_documents, format_documents
    from langchain_unisem.prompts import MultimodalPrompt
    from langchain_unisem.queries import ImageQuery
    from langchain_unisem.retrievers import UniSemRetriever
    from langchain_unisem.structured_queries import UniSemTranslator
    from langchain_unisem.vectorstores import EmbeddingsEncoder, UniSemVectorStore

_HOMES = {
    "EmbeddingsEncoder": "langchain_unisem.vectorstores",
    "ImageQuery": "langchain_unisem.queries",
    "MultimodalPrompt": "langchain_unisem.prompts",
    "UniSemEmbeddings": "langchain_unisem.embeddings",
    "UniSemRetriever": "langchain_unisem.retrievers",
    "UniSemTranslator": "langchain_unisem.structured_queries",
    "UniSemVectorStore": "langchain_unisem.vectorstores",
    "aformat_documents": "langchain_unisem.messages",
    "format_documents": "langchain_unisem.messages",
}

__all__ = [
    "EmbeddingsEncoder",
    "ImageQuery",
    "MultimodalPrompt",
    "UniSemEmbeddings",
    "UniSemRetriever",
    "UniSemTranslator",
    "UniSemVectorStore",
    "__version__",
    "aformat_documents",
    "format_documents",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'langchain_unisem' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
