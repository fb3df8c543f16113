"""Postprocessors: what happens to hits between a retriever and a chat model."""

from llama_index_unisem.postprocessors.images_for_llm import ImagesForLLM
from llama_index_unisem.postprocessors.modality_cutoff import ModalityCutoff
from llama_index_unisem.postprocessors.reranker import UniSemReranker

__all__ = ["ImagesForLLM", "ModalityCutoff", "UniSemReranker"]
