"""Pairs to learn from and to judge by: pictures with captions, and other queries and documents."""

from unisem.pairs.checking import check_pairs
from unisem.pairs.cleaning import CaptionCleaning
from unisem.pairs.dataset import PairDataset
from unisem.pairs.input import Input
from unisem.pairs.pair import Pair
from unisem.pairs.splits import split_pairs

__all__ = ["CaptionCleaning", "Input", "Pair", "PairDataset", "check_pairs", "split_pairs"]
