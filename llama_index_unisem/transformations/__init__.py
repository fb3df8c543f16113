"""Transformations: steps of an ingestion pipeline that know pictures."""

from llama_index_unisem.transformations.texts_only import TextsOnly

__all__ = ["TextsOnly"]
