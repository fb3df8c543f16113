"""Rerankers: what reorders a handful of hits by looking at query and record together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names

if TYPE_CHECKING:
    from unisem.rerank.base import Reranker as Reranker
    from unisem.rerank.blip import BlipReranker as BlipReranker
    from unisem.rerank.cross_encoder import CrossEncoderReranker as CrossEncoderReranker
    from unisem.rerank.late_interaction import LateInteractionReranker as LateInteractionReranker
    from unisem.rerank.loading import load_reranker as load_reranker

__getattr__, __dir__, __all__ = lazy_names(__name__)
