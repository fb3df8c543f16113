"""Retrievers: a space's one ranked list as LlamaIndex nodes."""

from llama_index_unisem.retrievers.bundles import ImageQueryBundle
from llama_index_unisem.retrievers.retriever import UniSemRetriever

__all__ = ["ImageQueryBundle", "UniSemRetriever"]
