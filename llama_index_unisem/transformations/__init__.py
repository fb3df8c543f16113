"""Transformations: steps of an ingestion pipeline that know pictures."""

from llama_index_unisem.transformations.caption_images import CaptionImages
from llama_index_unisem.transformations.parsed_documents import ParsedDocuments
from llama_index_unisem.transformations.texts_only import TextsOnly

__all__ = ["CaptionImages", "ParsedDocuments", "TextsOnly"]
