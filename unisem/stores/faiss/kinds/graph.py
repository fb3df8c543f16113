"""`Graph`: HNSW, a graph of near vectors over the vectors themselves."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from unisem.records import Vector
from unisem.stores.faiss.exact_scan import Found
from unisem.stores.faiss.index_settings import IndexKind, IndexSettings
from unisem.stores.faiss.kinds.base import VectorIndex, checked, found_of, mapped, selector_of
from unisem.stores.faiss.raw_file import RawFile

_LINKS = 16  # HNSW's M
_BUILD_EFFORT = 80  # HNSW's efConstruction
_EFFORT = 128  # HNSW's efSearch where nothing is filtered out
_MOST_EFFORT = 8192
_ROWS = 1 << 15  # vectors that are added at a time


class Graph(VectorIndex):
    """Walks from vector to nearer vector; takes minutes to build for a million."""

    kind: ClassVar[IndexKind] = "hnsw"

    @classmethod
    def build(cls, vectors: RawFile) -> Self:
        """Link all vectors."""
        import faiss

        index = faiss.IndexHNSWFlat(vectors.dimension, _LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _BUILD_EFFORT
        for start in range(0, len(vectors), _ROWS):
            index.add(vectors.at(np.arange(start, min(start + _ROWS, len(vectors)))))
        return cls(vectors, index)

    @classmethod
    def opened(cls, path: Path, vectors: RawFile) -> Self:
        """Map what was written.

        Raises:
            OSError, RuntimeError, ValueError: It is not there, or something else.
        """
        return cls(vectors, checked(mapped(path), "IndexHNSW"))

    def _search(
        self,
        queries: Vector,
        fetch: int,
        eligible: NDArray[np.bool_] | None,
        count: int,
        settings: IndexSettings,
    ) -> list[Found]:
        import faiss

        share = count / len(self.vectors)
        width = int(settings.effort * max(_EFFORT, 2 * fetch) / max(share, 1e-6) ** 0.25)
        width = max(fetch, min(width, _MOST_EFFORT))
        parameters = faiss.SearchParametersHNSW(sel=selector_of(eligible), efSearch=width)
        return found_of(*self._index.search(queries, fetch, params=parameters))
