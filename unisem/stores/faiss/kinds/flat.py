"""`Flat`: compares every vector; `Rounded`: the same, but by one byte a component first."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from unisem.records import Vector
from unisem.stores.faiss.exact_scan import TOGETHER, Found, best, scan
from unisem.stores.faiss.index_settings import IndexKind, IndexSettings
from unisem.stores.faiss.kinds.base import VectorIndex, checked, mapped, selector_of
from unisem.stores.faiss.kinds.rotation import apart, behind
from unisem.stores.faiss.raw_file import DamagedVectorsError, RawFile, checksum_of

PAYS_FROM = 10_000
"""Vectors from which on bytes are worth their file, a quarter of the vectors'."""
_MOST = 512  # results for which a heap takes longer than comparing the vectors themselves
_MANY = 0.25  # a selection of which to leave out the others takes less than to ask for each
_ROWS = 1 << 15  # vectors that are rounded at a time
_LARGEST = 127  # of a byte with a sign
_MARGIN = 1e-5  # how far sums in float32 may be off


def build_flat(vectors: RawFile) -> Flat | Rounded:
    """The faster of the two for so many vectors."""
    return Flat(vectors, None) if len(vectors) < PAYS_FROM else Rounded.build(vectors)


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


class Rounded(VectorIndex):
    """All vectors are compared as they are rounded, and the likely ones as they are.

    Component ``i`` of every vector is ``steps[i]`` times a whole number from -127 to 127, off by
    half a step at most, and so is a query, with a step of its own. By how much a product of both
    may be off is known (`_off`), and what is further below the last one that is wanted cannot be
    among them: none is missed. It takes two fifths of the time, since a quarter of the bytes is
    read, and whole numbers are multiplied.

    Args:
        vectors: See the base.
        steps: ``(d,)`` float32.
        longest: The length of the longest vector of whole numbers.
        index: Faiss's, of these. It multiplies whole numbers only where they are as many as a
            multiple of 16, so noughts follow.
        checksum: Of its codes, which are compared with it before they are first read; ``None`` for
            those that were just made.
    """

    kind: ClassVar[IndexKind] = "flat"
    sparse: ClassVar[float] = 0.02

    def __init__(
        self,
        vectors: RawFile,
        steps: NDArray[np.float32],
        longest: float,
        index: Any,
        checksum: str | None = None,
    ) -> None:
        matrix = np.zeros((index.d, len(steps)), np.float32)
        np.fill_diagonal(matrix, steps)
        shift = np.zeros(index.d, np.float32)
        shift[0] = longest  # there is no other place for it in Faiss's file
        super().__init__(vectors, behind(matrix, index, shift))
        self._steps = steps
        self._longest = longest
        self._bytes = index
        self._unchecked = checksum
        self.late = len(vectors) * int(index.code_size)

    @classmethod
    def build(cls, vectors: RawFile) -> Self:
        """Round a copy of all vectors."""
        import faiss

        blocks = [
            np.arange(start, min(start + _ROWS, len(vectors)))
            for start in range(0, len(vectors), _ROWS)
        ]
        largest = np.max([np.abs(vectors.at(block)).max(axis=0) for block in blocks], axis=0)
        steps = np.where(largest > 0, largest / _LARGEST, 1).astype(np.float32)
        index = faiss.IndexScalarQuantizer(
            -(-vectors.dimension // 16) * 16, _bytes_of_faiss(), faiss.METRIC_INNER_PRODUCT
        )
        longest = 0.0
        for block in blocks:
            whole = np.zeros((len(block), index.d), np.float32)
            whole[:, : vectors.dimension] = np.rint(vectors.at(block) / steps)
            longest = max(longest, float(np.linalg.norm(whole, axis=1).max()))
            index.add(whole)
        return cls(vectors, steps, longest, index)

    @classmethod
    def opened(cls, path: Path, vectors: RawFile, checksum: str | None) -> Self:
        """Map what was written, whose codes are checked when they are first read.

        Raises:
            OSError, RuntimeError, ValueError: It is not there, or something else.
        """
        whole = mapped(path)
        matrix, index, shift = apart(whole)
        if checked(index, "IndexScalarQuantizer").sq.qtype != _bytes_of_faiss() or not len(shift):
            raise ValueError("an index of other codes")
        if index.codes.size() != len(vectors) * index.code_size:
            raise ValueError("codes of other vectors")
        found = cls(vectors, matrix.diagonal().copy(), float(shift[0]), index, checksum)
        found._index = whole  # which owns the other
        return found

    def check(self) -> None:
        """See the base; of the codes, too."""
        super().check()
        self._check_codes()

    def _check_codes(self) -> None:
        import faiss

        if self._unchecked is None:
            return
        # What Faiss has mapped is looked at, so that the search finds its pages in place.
        codes = faiss.rev_swig_ptr(self._bytes.codes.data(), self.late)
        if checksum_of(codes.data) != self._unchecked:
            raise DamagedVectorsError("the codes")
        self._unchecked = None

    def _search(
        self,
        queries: Vector,
        fetch: int,
        eligible: NDArray[np.bool_] | None,
        count: int,
        settings: IndexSettings,
    ) -> list[Found]:
        # For several queries one product of matrices is faster.
        if fetch > _MOST or (len(queries) >= TOGETHER and eligible is None):
            return scan(self.vectors, queries, fetch, eligible, count)
        self._check_codes()
        return [self._nearest(query, fetch, eligible, count) for query in queries]

    def _nearest(
        self, query: Vector, fetch: int, eligible: NDArray[np.bool_] | None, count: int
    ) -> Found:
        scaled = query * self._steps
        step = np.float32(np.abs(scaled).max() / _LARGEST or 1)
        whole = np.zeros((1, self._bytes.d), np.float32)
        whole[0, : len(query)] = np.rint(scaled / step)
        off = self._off(scaled, scaled - step * whole[0, : len(query)])
        wide = min(count, 4 * fetch + 64)
        while wide <= 4 * _MOST:
            places, least = self._likely(whole, wide, eligible, count)
            scores, at = best(self.vectors.at(places) @ query, places, fetch)
            if len(at) == fetch and (wide == count or scores[-1] > step * least + off):
                return scores, at
            wide = min(count, 4 * wide)
        (found,) = scan(self.vectors, query[None], fetch, eligible, count)
        return found

    def _likely(
        self,
        whole: Vector,
        wide: int,
        eligible: NDArray[np.bool_] | None,
        count: int,
    ) -> tuple[NDArray[np.int64], float]:
        """Positions of about as many as are wanted, and the most that another has as rounded."""
        import faiss

        if eligible is not None and count < _MANY * len(eligible):
            parameters = faiss.SearchParameters(sel=selector_of(eligible))
            rounded, places = self._bytes.search(whole, wide, params=parameters)
            return places[0], float(rounded[0, -1])
        more = min(len(self.vectors), math.ceil(wide * len(self.vectors) / count))
        rounded, places = self._bytes.search(whole, more)
        found = places[0] if eligible is None else places[0][eligible[places[0]]]
        return found, float(rounded[0, -1])

    def _off(self, scaled: Vector, left: NDArray[np.floating]) -> float:
        """How far a product of rounded vectors may be from that of the vectors.

        Args:
            scaled: ``(d,)`` the query's components times the steps; half of each is the most that
                rounding a vector there can change.
            left: ``(d,)`` what rounding the query took from them, times whole numbers of a vector
                (Cauchy and Schwarz).
        """
        of_vectors = 0.5 * float(np.abs(scaled).sum())
        return of_vectors + self._longest * float(np.linalg.norm(left)) + _MARGIN


def _bytes_of_faiss() -> int:
    """Faiss's name for bytes with a sign, taken as they are."""
    import faiss

    return int(faiss.ScalarQuantizer.QT_8bit_direct_signed)
