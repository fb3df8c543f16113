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
    from llama_index_unisem.indices.index import UniSemIndex
    from llama_index_unisem.postprocessors.images_for_llm import ImagesForLLM
    from llama_index_unisem.postprocessors.modality_cutoff import ModalityCutoff
    from llama_index_unisem.postprocessors.reranker import UniSemReranker
    from llama_index_unisem.readers.images import UniSemImageReader
    from llama_index_unisem.retrievers.bundles import ImageQueryBundle
    from llama_index_unisem.retrievers.retriever import UniSemRetriever
    from llama_index_unisem.tools.query_engine_tool import UniSemQueryEngineTool
    from llama_index_unisem.tools.retriever_tool import UniSemRetrieverTool
    from llama_index_unisem.tools.tool_images import ToolImages
    from llama_index_unisem.transformations.texts_only import TextsOnly
    from llama_index_unisem.vector_stores.store import UniSemVectorStore

_HOMES = {
    "ImageQueryBundle": "llama_index_unisem.retrievers.bundles",
    "ImagesForLLM": "llama_index_unisem.postprocessors.images_for_llm",
    "ModalityCutoff": "llama_index_unisem.postprocessors.modality_cutoff",
    "UniSemImageReader": "llama_index_unisem.readers.images",
    "TextsOnly": "llama_index_unisem.transformations.texts_only",
    "ToolImages": "llama_index_unisem.tools.tool_images",
    "UniSemEmbedding": "llama_index_unisem.embeddings.embedding",
    "UniSemIndex": "llama_index_unisem.indices.index",
    "UniSemQueryEngineTool": "llama_index_unisem.tools.query_engine_tool",
    "UniSemReranker": "llama_index_unisem.postprocessors.reranker",
    "UniSemRetriever": "llama_index_unisem.retrievers.retriever",
    "UniSemRetrieverTool": "llama_index_unisem.tools.retriever_tool",
    "UniSemVectorStore": "llama_index_unisem.vector_stores.store",
}

__all__ = [
    "ImageQueryBundle",
    "ImagesForLLM",
    "ModalityCutoff",
    "TextsOnly",
    "ToolImages",
    "UniSemEmbedding",
    "UniSemImageReader",
    "UniSemIndex",
    "UniSemQueryEngineTool",
    "UniSemReranker",
    "UniSemRetriever",
    "UniSemRetrieverTool",
    "UniSemVectorStore",
    "__version__",
]


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
