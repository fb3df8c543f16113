"""Embeddings: an encoder of texts and pictures as LlamaIndex wants it."""

from llama_index_unisem.embeddings.embedding import UniSemEmbedding

__all__ = ["UniSemEmbedding"]
