"""The vector store for LlamaIndex."""

from llama_index_unisem.vector_stores.store import UniSemVectorStore

__all__ = ["UniSemVectorStore"]
