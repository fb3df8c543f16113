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
    from langchain_unisem.document_compressors import UniSemReranker
    from langchain_unisem.document_loaders import ImageBlobParser, ImageFolderLoader
    from langchain_unisem.embeddings import UniSemEmbeddings
    from langchain_unisem.image_documents import image_document
    from langchain_unisem.indexing import image_key
    from langchain_unisem.messages import aformat_documents, format_documents
    from langchain_unisem.prompts import MultimodalPrompt
    from langchain_unisem.queries import ImageQuery
    from langchain_unisem.retrievers import UniSemRetriever
    from langchain_unisem.splitting import TextsOnly
    from langchain_unisem.structured_queries import UniSemTranslator
    from langchain_unisem.tools import UniSemInlineRetrievalTool, UniSemRetrievalTool
    from langchain_unisem.vectorstores import EmbeddingsEncoder, UniSemVectorStore

_HOMES = {
    "EmbeddingsEncoder": "langchain_unisem.vectorstores",
    "ImageQuery": "langchain_unisem.queries",
    "MultimodalPrompt": "langchain_unisem.prompts",
    "ImageBlobParser": "langchain_unisem.document_loaders",
    "ImageFolderLoader": "langchain_unisem.document_loaders",
    "TextsOnly": "langchain_unisem.splitting",
    "UniSemEmbeddings": "langchain_unisem.embeddings",
    "UniSemInlineRetrievalTool": "langchain_unisem.tools",
    "UniSemReranker": "langchain_unisem.document_compressors",
    "UniSemRetrievalTool": "langchain_unisem.tools",
    "UniSemRetriever": "langchain_unisem.retrievers",
    "UniSemTranslator": "langchain_unisem.structured_queries",
    "UniSemVectorStore": "langchain_unisem.vectorstores",
    "aformat_documents": "langchain_unisem.messages",
    "format_documents": "langchain_unisem.messages",
    "image_document": "langchain_unisem.image_documents",
    "image_key": "langchain_unisem.indexing",
}

__all__ = [
    "EmbeddingsEncoder",
    "ImageBlobParser",
    "ImageFolderLoader",
    "ImageQuery",
    "MultimodalPrompt",
    "TextsOnly",
    "UniSemEmbeddings",
    "UniSemInlineRetrievalTool",
    "UniSemReranker",
    "UniSemRetrievalTool",
    "UniSemRetriever",
    "UniSemTranslator",
    "UniSemVectorStore",
    "__version__",
    "aformat_documents",
    "format_documents",
    "image_document",
    "image_key",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'langchain_unisem' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
