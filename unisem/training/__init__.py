"""Training: pairs of pictures and captions in, an encoder that finds them better out.

Names are imported when first used, so that reading pairs costs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names

if TYPE_CHECKING:
    from unisem.pairs.checking import check_pairs as check_pairs
    from unisem.pairs.cleaning import CaptionCleaning as CaptionCleaning
    from unisem.pairs.dataset import PairDataset as PairDataset
    from unisem.pairs.pair import Pair as Pair
    from unisem.pairs.splits import split_pairs as split_pairs
    from unisem.training.inputs.augmentation import Augmentation as Augmentation
    from unisem.training.inputs.mining import mine_hard_negatives as mine_hard_negatives
    from unisem.training.model.adapter import merge_adapter as merge_adapter
    from unisem.training.model.interpolation import interpolate_weights as interpolate_weights
    from unisem.training.model.two_towers import two_towers as two_towers
    from unisem.training.recipe import Recipe as Recipe
    from unisem.training.run import train_encoder as train_encoder

__getattr__, __dir__, __all__ = lazy_names(__name__)
