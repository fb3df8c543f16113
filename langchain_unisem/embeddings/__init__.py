"""Embeddings: an encoder of UniSem as LangChain's text embeddings, with a picture side."""

from langchain_unisem.embeddings.unisem import UniSemEmbeddings

__all__ = ["UniSemEmbeddings"]
