"""`Shortlists`: what an encoder finds first for each caption, and the same in another order.

A reranker is measured on this: it judges an encoder's first fifty. Candidates behind the fiftieth
keep their places, so that every measure is over all candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisem.evaluation import Ranking
from unisem.evaluation.ranking import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Shortlists:
    """An encoder's scores, and which candidates a reranker is asked about.

    Attributes:
        scores: ``(queries, candidates)``, cosines.
        relevant: For each query the positions of its relevant candidates.
        first: ``(queries, depth)``, positions of the best candidates, best first.
    """

    scores: Floats
    relevant: Sequence[Sequence[int]]
    first: NDArray[np.int64]

    @classmethod
    def of(
        cls, scores: Floats, relevant: Sequence[Sequence[int]], *, depth: int = 50
    ) -> Shortlists:
        """The ``depth`` best of each query; ties by position, as `Ranking` has them."""
        return cls(scores, relevant, np.argsort(-scores, axis=1, kind="stable")[:, :depth])

    @property
    def own(self) -> Floats:
        """``(queries, depth)``, the encoder's scores of each shortlist."""
        found: Floats = np.take_along_axis(self.scores, self.first, 1)
        return found

    @property
    def right(self) -> NDArray[np.bool_]:
        """``(queries, depth)``, which candidates of each shortlist are relevant."""
        rows = zip(self.first, self.relevant, strict=True)
        return np.stack([np.isin(first, wanted) for first, wanted in rows])

    def ranking(self, scores: Floats) -> Ranking:
        """All candidates, the shortlists in the order of other scores.

        Args:
            scores: ``(queries, depth)``, in the order of ``first``.
        """
        behind = self.scores - self.scores.max() + scores.min() - 1  # whatever is said of the first
        np.put_along_axis(behind, self.first, scores, 1)
        return Ranking.of(behind, self.relevant)
