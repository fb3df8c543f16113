"""`Random`: by lot."""

from __future__ import annotations

import numpy as np

from unisem.pairs.labelling.strategies.base import Positions, Strategy
from unisem.pairs.labelling.strategies.pool import Pool


class Random(Strategy):
    """Any picture is as likely as any other; what other strategies are compared with."""

    reason = "drawn by lot"

    def _chosen(self, pool: Pool, count: int, rng: np.random.Generator) -> Positions:
        return rng.permutation(len(pool))[:count]
