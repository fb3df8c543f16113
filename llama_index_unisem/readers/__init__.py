"""Readers: files as LlamaIndex documents."""

from llama_index_unisem.readers.pictures import PictureReader

__all__ = ["PictureReader"]
