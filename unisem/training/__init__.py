"""Training: pairs of pictures and captions in, an encoder that finds them better out.

Names are imported when first used, so that reading pairs costs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unisem.pairs.checking import check_pairs
    from unisem.pairs.cleaning import CaptionCleaning
    from unisem.pairs.dataset import PairDataset
    from unisem.pairs.pair import Pair
    from unisem.pairs.splits import split_pairs
    from unisem.training.inputs.augmentation import Augmentation
    from unisem.training.inputs.mining import mine_hard_negatives
    from unisem.training.model.interpolation import interpolate_weights
    from unisem.training.model.two_towers import two_towers
    from unisem.training.recipe import Recipe
    from unisem.training.run import train_encoder

_HOMES = {
    "Augmentation": "unisem.training.inputs.augmentation",
    "CaptionCleaning": "unisem.pairs.cleaning",
    "Pair": "unisem.pairs.pair",
    "PairDataset": "unisem.pairs.dataset",
    "Recipe": "unisem.training.recipe",
    "check_pairs": "unisem.pairs.checking",
    "interpolate_weights": "unisem.training.model.interpolation",
    "mine_hard_negatives": "unisem.training.inputs.mining",
    "split_pairs": "unisem.pairs.splits",
    "train_encoder": "unisem.training.run",
    "two_towers": "unisem.training.model.two_towers",
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
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'unisem.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
