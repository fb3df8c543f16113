"""Rerankers: what reorders a handful of hits by looking at query and record together."""

from unisem.rerank.base import Reranker
from unisem.rerank.cross_encoder import CrossEncoderReranker, load_reranker

__all__ = ["CrossEncoderReranker", "Reranker", "load_reranker"]
