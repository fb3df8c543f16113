"""`Flat`: compares every vector; `Panorama`: the same, leaving off early where a vector is far."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from unisem.records import Vector
from unisem.stores.faiss.exact_scan import TOGETHER, Found, scan
from unisem.stores.faiss.index_settings import IndexKind, IndexSettings
from unisem.stores.faiss.kinds.base import VectorIndex, checked, found_of, mapped, selector_of
from unisem.stores.faiss.kinds.rotation import Rotation
from unisem.stores.faiss.raw_file import RawFile

PAYS_FROM = 20_000
"""Vectors from which on leaving off early is worth a second copy of them, turned."""
PAYS_UP_TO = 1 << 28
"""Bytes of the copy, which Faiss reads into memory and does not map."""
_LEVELS = 8  # parts of a vector, after each of which it may be left off
_BATCH = 1024  # vectors that are gone through level by level
_MOST = 512  # results up to which most vectors are left off early; Faiss takes a batch at most
_LEAST_LENGTH = 64  # of a vector that is worth dividing


def build_flat(vectors: RawFile) -> Flat | Panorama:
    """The faster of the two for so many vectors."""
    copied = 4 * len(vectors) * vectors.dimension
    if len(vectors) < PAYS_FROM or copied > PAYS_UP_TO or vectors.dimension < _LEAST_LENGTH:
        return Flat(vectors, None)
    return Panorama.build(vectors)


class Flat(VectorIndex):
    """No index: the vectors themselves are gone through."""

    kind: ClassVar[IndexKind] = "flat"

    def _search(
        self,
        queries: Vector,
        fetch: int,
        eligible: NDArray[np.bool_] | None,
        count: int,
        settings: IndexSettings,
    ) -> list[Found]:
        return scan(self.vectors, queries, fetch, eligible, count)


class Panorama(VectorIndex):
    """Turned so that what tells vectors apart comes first, and compared a part at a time.

    After each part a vector is left off whose rest cannot lift it among the best any more, by the
    inequality of Cauchy and Schwarz, so none is missed. Panorama, arXiv 2510.00566.
    """

    kind: ClassVar[IndexKind] = "flat"
    sparse: ClassVar[float] = 0.02

    def __init__(self, vectors: RawFile, rotation: Rotation, index: Any) -> None:
        super().__init__(vectors, rotation.before(index))
        self._rotation = rotation
        self._turned = index

    @classmethod
    def build(cls, vectors: RawFile) -> Self:
        """Turn a copy of all vectors."""
        import faiss

        rotation = Rotation.principal(vectors)
        index = faiss.IndexFlatIPPanorama(vectors.dimension, _LEVELS, _BATCH)
        rotation.fill(index, vectors)
        return cls(vectors, rotation, index)

    @classmethod
    def opened(cls, path: Path, vectors: RawFile) -> Self:
        """Map what was written.

        Raises:
            OSError, RuntimeError, ValueError: It is not there, or something else.
        """
        whole = mapped(path)
        rotation, index = Rotation.split(whole)
        found = cls(vectors, rotation, checked(index, "IndexFlatPanorama"))
        found._index = whole  # which owns the other
        return found

    def _search(
        self,
        queries: Vector,
        fetch: int,
        eligible: NDArray[np.bool_] | None,
        count: int,
        settings: IndexSettings,
    ) -> list[Found]:
        import faiss

        # For several queries one product of matrices is faster.
        if fetch > _MOST or (len(queries) >= TOGETHER and eligible is None):
            return scan(self.vectors, queries, fetch, eligible, count)
        selector = selector_of(eligible)
        parameters = None if selector is None else faiss.SearchParameters(sel=selector)
        return found_of(*self._turned.search(self._rotation.of(queries), fetch, params=parameters))
