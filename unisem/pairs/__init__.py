"""Pairs: pictures with captions to learn from and to judge by."""

from unisem.pairs.checking import check_pairs
from unisem.pairs.cleaning import CaptionCleaning
from unisem.pairs.dataset import PairDataset
from unisem.pairs.pair import Pair
from unisem.pairs.splits import split_pairs

__all__ = ["CaptionCleaning", "Pair", "PairDataset", "check_pairs", "split_pairs"]
