"""Rerankers: what reorders a handful of hits by looking at query and record together."""

from unisem.rerank.base import Reranker
from unisem.rerank.blip import BlipReranker
from unisem.rerank.cross_encoder import CrossEncoderReranker
from unisem.rerank.late_interaction import LateInteractionReranker
from unisem.rerank.loading import load_reranker

__all__ = [
    "BlipReranker",
    "CrossEncoderReranker",
    "LateInteractionReranker",
    "Reranker",
    "load_reranker",
]
