"""Losses over vectors of captions and pictures; `docs/guides/training.md` describes the seam."""

from unisem.training.losses.base import ChunkedLoss, PairLabels, PairLoss
from unisem.training.losses.cached import CachedLoss
from unisem.training.losses.embedding import EmbeddingLoss
from unisem.training.losses.guided import Guided
from unisem.training.losses.info_nce import InfoNCE
from unisem.training.losses.late_interaction import LateInteraction
from unisem.training.losses.matryoshka import Matryoshka
from unisem.training.losses.sigmoid import Sigmoid
from unisem.training.losses.triplet import Triplet

__all__ = [
    "CachedLoss",
    "ChunkedLoss",
    "EmbeddingLoss",
    "Guided",
    "InfoNCE",
    "LateInteraction",
    "Matryoshka",
    "PairLabels",
    "PairLoss",
    "Sigmoid",
    "Triplet",
]
