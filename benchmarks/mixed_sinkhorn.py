"""Dual bank Sinkhorn normalisation as a calibration's hub bias, to compare with the nearest mean.

Pan et al. 2025, "Hubness reduction with dual bank Sinkhorn normalization for cross-modal retrieval"
(https://arxiv.org/abs/2508.02538): a bank of queries and a bank of what is searched are balanced by
ten rounds of Sinkhorn's, so that each query and each target has the same weight; a vector's hubness
is the logarithm of what it then gets from the bank of queries. It depends on the vector alone, so
it goes where the other bias goes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from unisem.calibration import Calibration, Choices, DocumentKind, PairChoice
from unisem.calibration.kinds import DOCUMENT_KINDS, QUERY_KINDS
from unisem.records import Vector

TEMPERATURE = 0.1  # of .02, .05, .1, .2 the best by nDCG@10 on calibration data of the gallery
_ROUNDS = 10
_COPY = 0.999  # a bank of pictures asks for the same pictures: none is its own neighbour


@dataclass(frozen=True, eq=False)
class SinkhornCalibration(Calibration):
    """A calibration whose hub biases are Sinkhorn's, on one scale.

    Attributes:
        temperature: Of the softmax over cosines.
    """

    temperature: float = TEMPERATURE

    @classmethod
    def of(cls, fitted: Calibration, temperature: float = TEMPERATURE) -> Self:
        """The means and banks of a calibration."""
        plain = replace(fitted, choices=Choices(), pairs=dict.fromkeys(fitted.pairs, PairChoice()))
        own = {field.name: getattr(plain, field.name) for field in fields(Calibration)}
        return cls(**own, temperature=temperature)

    def _documents(self, rows: Vector, kind: DocumentKind) -> Vector:
        found = super()._documents(rows, kind)
        seen = found[:, : self.dimension]
        for column, asked in enumerate(QUERY_KINDS):
            bank, weights = self._asked[asked], self._weights[kind][column]
            hubness = np.log(self._kernel(seen, bank) @ weights)
            found[:, self.dimension + column] = -self.temperature * hubness
        return found

    @cached_property
    def _weights(self) -> dict[DocumentKind, list[NDArray[np.float64]]]:
        """Of each bank of queries, balanced with the bank of each kind of vectors."""
        return {
            kind: [
                self._balanced(
                    self._seen(self.documents_of[kind], self.documents_of[kind].bank),
                    self._asked[asked],
                )
                for asked in QUERY_KINDS
            ]
            for kind in DOCUMENT_KINDS
        }

    def _balanced(self, targets: Vector, queries: Vector) -> NDArray[np.float64]:
        kernel = self._kernel(targets, queries)
        weights = np.full(len(queries), 1 / len(queries))
        for _ in range(_ROUNDS):
            given = 1 / (len(targets) * (kernel @ weights))
            weights = 1 / (len(queries) * (given @ kernel))
        return weights

    def _kernel(self, targets: Vector, queries: Vector) -> NDArray[np.float64]:
        likeness = targets.astype(np.float64) @ queries.astype(np.float64).T
        kernel: NDArray[np.float64] = np.exp((likeness - 1) / self.temperature)
        kernel[likeness > _COPY] = 0
        return kernel
