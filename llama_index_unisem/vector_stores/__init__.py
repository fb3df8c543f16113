"""The vector store for LlamaIndex."""

# Whoever has a store can load an index over it: LlamaIndex finds the class by its registered type.
import llama_index_unisem.indices.index  # noqa: F401
from llama_index_unisem.vector_stores.store import UniSemVectorStore

__all__ = ["UniSemVectorStore"]
