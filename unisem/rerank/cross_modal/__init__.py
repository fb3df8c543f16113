"""The cross-modal Transformer: judges and describes a picture by looking at both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names

if TYPE_CHECKING:
    from unisem.rerank.cross_modal.model import CrossModalSettings as CrossModalSettings
    from unisem.rerank.cross_modal.model import CrossModalTransformer as CrossModalTransformer
    from unisem.rerank.cross_modal.patch_features import PatchFeatures as PatchFeatures
    from unisem.rerank.cross_modal.reranker import CrossModalReranker as CrossModalReranker
    from unisem.rerank.cross_modal.saving import CrossModalFiles as CrossModalFiles
    from unisem.rerank.cross_modal.tokenizer import CaptionTokenizer as CaptionTokenizer
    from unisem.rerank.cross_modal.word_vectors import WordVectors as WordVectors

__getattr__, __dir__, __all__ = lazy_names(__name__)
