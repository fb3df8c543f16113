"""Pairs: pictures with captions to learn from and to judge by.

Names are imported when first used, so that a command that only names them starts at once.
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

_HOMES = {
    "CaptionCleaning": "cleaning",
    "Pair": "pair",
    "PairDataset": "dataset",
    "check_pairs": "checking",
    "split_pairs": "splits",
}

__all__ = ["CaptionCleaning", "Pair", "PairDataset", "check_pairs", "split_pairs"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"unisem.pairs.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'unisem.pairs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
