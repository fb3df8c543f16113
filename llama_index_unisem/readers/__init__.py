"""Readers: files as LlamaIndex documents."""

from llama_index_unisem.readers.images import UniSemImageReader

__all__ = ["UniSemImageReader"]
