"""Training of the cross-modal Transformer: pairs in, a directory that judges and describes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names

if TYPE_CHECKING:
    from unisem.training.cross_modal.recipe import CrossModalRecipe as CrossModalRecipe
    from unisem.training.cross_modal.report import RerankerReport as RerankerReport
    from unisem.training.cross_modal.run import train_reranker as train_reranker

__getattr__, __dir__, __all__ = lazy_names(__name__)
