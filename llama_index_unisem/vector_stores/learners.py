"""`Learner`: LlamaIndex's query modes that fit a model to the candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from llama_index.core.vector_stores.types import VectorStoreQueryMode
from numpy.typing import NDArray

from unisem.images.reference import ImageRef
from unisem.records import Record, Vector
from unisem.rerank import Reranker
from unisem.stores import Store
from unisem.stores.selection import Match

LEARNERS = (
    VectorStoreQueryMode.SVM,
    VectorStoreQueryMode.LOGISTIC_REGRESSION,
    VectorStoreQueryMode.LINEAR_REGRESSION,
)
"""The modes."""

_C = 0.1  # LlamaIndex's inverse strength of regularisation


class Learner(Reranker):
    """Fits a model that tells the query from the candidates, and ranks these by it."""

    def __init__(
        self, mode: VectorStoreQueryMode, store: Store, vector: Vector, match: Match
    ) -> None:
        """Fit nothing yet.

        Args:
            mode: One of `LEARNERS`.
            store: Where the candidates' vectors are.
            vector: The query's ``(d,)`` unit vector.
            match: Which of a record's vectors count; of several, the nearest one does.
        """
        self._mode = mode
        self._store = store
        self._vector = vector
        self._match = match

    @property
    def name(self) -> str:
        """The mode's."""
        return self._mode.value

    def score(
        self, text: str | None, image: ImageRef | None, records: Sequence[Record]
    ) -> NDArray[np.float32]:
        """The model's values; NaN for records that were deleted meanwhile."""
        scores = np.full(len(records), np.nan, np.float32)
        places, rows = [], []
        for place, kinds in enumerate(self._store.vectors([record.id for record in records])):
            compared = [v for kind, v in (kinds or {}).items() if self._match in ("any", kind)]
            if compared:
                stacked = np.vstack(compared)
                places.append(place)
                rows.append(stacked[int(np.argmax(stacked @ self._vector))])
        if places:
            scores[places] = self._fitted(np.stack(rows))
        return scores

    def _fitted(self, rows: Vector) -> Sequence[float]:
        if self._mode == VectorStoreQueryMode.LINEAR_REGRESSION:  # LlamaIndex's own fails here
            return _regressed(self._vector, rows)
        from llama_index.core.indices.query.embedding_utils import get_top_k_embeddings_learner

        values, places = get_top_k_embeddings_learner(
            self._vector.tolist(), rows.tolist(), len(rows), query_mode=self._mode
        )
        found = dict(zip(places, values, strict=True))
        return [float(found[place]) for place in range(len(rows))]


def _regressed(vector: Vector, rows: Vector) -> Sequence[float]:
    """A linear regression's prediction for each row, the query being 1 and the rows 0.

    It is regularised, and the classes weigh the same, as LlamaIndex has it for the other learners
    (``C=0.1``, ``"balanced"``). Plain least squares reaches 0 for every row where there are fewer
    rows than dimensions, and what is left to rank by is rounding.
    """
    from sklearn.linear_model import Ridge  # type: ignore[import-untyped]

    target = np.array([1.0] + [0.0] * len(rows))
    weights = np.array([1.0] + [1.0 / len(rows)] * len(rows)) * (len(rows) + 1) / 2
    model = Ridge(alpha=1 / (2 * _C)).fit(np.vstack([vector, rows]), target, weights)
    predicted: list[float] = model.predict(rows).tolist()
    return predicted
