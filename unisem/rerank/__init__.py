"""Rerankers: what reorders a handful of hits by looking at query and record together."""

from unisem.rerank.base import Reranker
from unisem.rerank.reordering import reorder

__all__ = ["Reranker", "reorder"]
