"""Vector stores: UniSem spaces, and any text embeddings, behind LangChain's `VectorStore`."""

from langchain_unisem.vectorstores.encoder import EmbeddingsEncoder
from langchain_unisem.vectorstores.unisem import UniSemVectorStore

__all__ = ["EmbeddingsEncoder", "UniSemVectorStore"]
