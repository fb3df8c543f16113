"""`load_strategy`: strategies by their names."""

from __future__ import annotations

from typing import Literal

from unisem.pairs.labelling.strategies.base import Strategy
from unisem.pairs.labelling.strategies.combined import Combined
from unisem.pairs.labelling.strategies.coverage import Coverage
from unisem.pairs.labelling.strategies.diversity import Diversity
from unisem.pairs.labelling.strategies.draw import Random
from unisem.pairs.labelling.strategies.rarest import Rarest
from unisem.pairs.labelling.strategies.typical import Typical
from unisem.pairs.labelling.strategies.uncertainty import Disagreement, Uncertainty

StrategyName = Literal[
    "coverage",
    "typical",
    "combined",
    "uncertainty",
    "disagreement",
    "diversity",
    "rarest",
    "random",
]
DEFAULT: StrategyName = "coverage"
STRATEGIES: dict[StrategyName, type[Strategy]] = {
    "coverage": Coverage,
    "typical": Typical,
    "combined": Combined,
    "uncertainty": Uncertainty,
    "disagreement": Disagreement,
    "diversity": Diversity,
    "rarest": Rarest,
    "random": Random,
}


def load_strategy(name: str) -> Strategy:
    """A strategy by its name.

    Raises:
        ValueError: There is none of that name.
    """
    for known, kind in STRATEGIES.items():
        if name == known:
            return kind()
    raise ValueError(f"there is no strategy {name!r}; there are {', '.join(STRATEGIES)}")
