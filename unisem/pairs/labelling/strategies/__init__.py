"""Strategies: which pictures are worth a caption next."""

from unisem.pairs.labelling.strategies.base import Strategy
from unisem.pairs.labelling.strategies.combined import Combined
from unisem.pairs.labelling.strategies.coverage import Coverage
from unisem.pairs.labelling.strategies.diversity import Diversity
from unisem.pairs.labelling.strategies.draw import Random
from unisem.pairs.labelling.strategies.loading import DEFAULT, STRATEGIES, load_strategy
from unisem.pairs.labelling.strategies.pool import Head, Pool
from unisem.pairs.labelling.strategies.rarest import Rarest
from unisem.pairs.labelling.strategies.typical import Typical
from unisem.pairs.labelling.strategies.uncertainty import Disagreement, Uncertainty

__all__ = [
    "DEFAULT",
    "STRATEGIES",
    "Combined",
    "Coverage",
    "Disagreement",
    "Diversity",
    "Head",
    "Pool",
    "Random",
    "Rarest",
    "Strategy",
    "Typical",
    "Uncertainty",
    "load_strategy",
]
