"""`Strategy`: says which pictures are worth a caption next."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from unisem.pairs.labelling.strategies.pool import Pool

Positions = NDArray[np.int64]


class Strategy(ABC):
    """Chooses pictures of a pool.

    Attributes:
        reason: Why a picture was chosen, as a person is told.
    """

    reason: str

    def choose(self, pool: Pool, count: int, seed: int = 0) -> Positions:
        """The positions of the pictures to ask about, the first one first, none twice.

        Args:
            pool: The pictures.
            count: How many; all of them if there are fewer.
            seed: Decides what is left to chance.

        Raises:
            ValueError: ``count`` is below 1, or the pool lacks what this strategy looks at.
        """
        if count < 1:
            raise ValueError(f"count must be at least 1, not {count!r}")
        if not len(pool):
            return np.zeros(0, np.int64)
        return self._chosen(pool, min(count, len(pool)), np.random.default_rng(seed))

    @abstractmethod
    def _chosen(self, pool: Pool, count: int, rng: np.random.Generator) -> Positions:
        """As `choose`, of a pool that has so many."""
