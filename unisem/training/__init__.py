"""Training: pairs of pictures and captions in, an encoder that finds them better out.

Names are imported when first used, so that reading pairs costs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unisem.training.augmentation import Augmentation
    from unisem.training.cleaning import CaptionCleaning
    from unisem.training.interpolation import interpolate_weights
    from unisem.training.mining import mine_hard_negatives
    from unisem.training.pairs import Pair, PairDataset
    from unisem.training.recipe import Recipe
    from unisem.training.run import train_encoder
    from unisem.training.splits import split_pairs
    from unisem.training.towers import two_towers
    from unisem.training.validation import check_pairs

_HOMES = {
    "Augmentation": "augmentation",
    "CaptionCleaning": "cleaning",
    "Pair": "pairs",
    "PairDataset": "pairs",
    "Recipe": "recipe",
    "check_pairs": "validation",
    "interpolate_weights": "interpolation",
    "mine_hard_negatives": "mining",
    "split_pairs": "splits",
    "train_encoder": "run",
    "two_towers": "towers",
}

__all__ = [
    "Augmentation",
    "CaptionCleaning",
    "Pair",
    "PairDataset",
    "Recipe",
    "check_pairs",
    "interpolate_weights",
    "mine_hard_negatives",
    "split_pairs",
    "train_encoder",
    "two_towers",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"unisem.training.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'unisem.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
