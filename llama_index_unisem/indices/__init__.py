"""Indices: texts and pictures behind LlamaIndex's own index interface."""

from llama_index_unisem.indices.index import UniSemIndex
from llama_index_unisem.indices.retriever import UniSemIndexRetriever

__all__ = ["UniSemIndex", "UniSemIndexRetriever"]
