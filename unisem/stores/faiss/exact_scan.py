"""`scan`: compares queries with every vector that may be found, and misses none."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisem.records import Vector
from unisem.stores.faiss.raw_file import RawFile

Found = tuple[NDArray[np.floating[Any]], NDArray[np.int64]]
"""Scores, descending, and positions (or numbers) of the vectors that have them."""

_CHUNK = 1 << 24  # bytes that are copied at a time
_MANY = 2048  # results for which a heap takes longer than to sort all scores
_SPARSE = 0.02  # a selection this small is gone through by a list, a larger one by its bits
_LIMIT_READ = threading.Lock()
TOGETHER = 4
"""Queries that are compared with every vector faster as a product of matrices."""


def scan(
    vectors: RawFile,
    queries: Vector,
    fetch: int,
    eligible: NDArray[np.bool_] | None,
    count: int,
) -> list[Found]:
    """The best vectors of each query by inner product.

    Args:
        vectors: What is compared.
        queries: ``(q, d)`` float32.
        fetch: How many are wanted, at least 1 and at most ``count``.
        eligible: ``(n,)`` which may be found; ``None`` for all.
        count: How many may be found.

    Raises:
        DamagedVectorsError: A vector that is compared does not agree with its checksum.
    """
    if vectors.precision == "float16" or fetch > _MANY:
        positions = np.arange(len(vectors)) if eligible is None else np.flatnonzero(eligible)
        if len(queries) >= TOGETHER and fetch <= _MANY:
            return _in_one_pass(vectors, queries, fetch, positions)
        return [_sorted(vectors, query, fetch, positions) for query in queries]
    if eligible is None or count > _SPARSE * len(vectors):
        return _by_bits(vectors.all(), queries, fetch, eligible)
    positions = np.flatnonzero(eligible)
    vectors.check(positions)
    return _by_list(vectors.kept, queries, fetch, positions)


def nearest_of(vectors: RawFile, query: Vector, positions: NDArray[np.int64], fetch: int) -> Found:
    """The ``fetch`` best of the vectors at some positions, or all if there are fewer.

    Raises:
        DamagedVectorsError: One does not agree with its checksum.
    """
    fetch = min(fetch, len(positions))
    if vectors.precision == "float16" or not fetch or fetch > _MANY:
        return _sorted(vectors, query, fetch, positions)
    vectors.check(positions)
    (found,) = _by_list(vectors.kept, query[None], fetch, positions)
    return found


def best(scores: NDArray[np.floating[Any]], positions: NDArray[np.int64], fetch: int) -> Found:
    """The ``fetch`` best of some scored positions, best first."""
    if fetch < len(scores):
        kept = np.argpartition(-scores, fetch - 1)[:fetch]
        scores, positions = scores[kept], positions[kept]
    order = np.argsort(-scores, kind="stable")
    return scores[order], positions[order]


def _sorted(vectors: RawFile, query: Vector, fetch: int, positions: NDArray[np.int64]) -> Found:
    scores = np.empty(len(positions), np.float32)
    if vectors.precision == "float32" and len(positions):
        import faiss

        vectors.check(positions)
        pointers = map(faiss.swig_ptr, (scores, query, vectors.kept, positions))
        faiss.fvec_inner_products_by_idx(*pointers, len(query), 1, len(positions))
        return best(scores, positions, fetch)
    rows = max(1, _CHUNK // (4 * len(query)))
    for start in range(0, len(positions), rows):
        scores[start : start + rows] = vectors.at(positions[start : start + rows]) @ query
    return best(scores, positions, fetch)


def _in_one_pass(
    vectors: RawFile, queries: Vector, fetch: int, positions: NDArray[np.int64]
) -> list[Found]:
    """As `_sorted`; to make numbers of float32 takes longer than to compare them with a query."""
    found: list[Found] = [(np.empty(0, np.float32), np.empty(0, np.int64))] * len(queries)
    rows = max(1, _CHUNK // (4 * queries.shape[1]))
    for start in range(0, len(positions), rows):
        these = positions[start : start + rows]
        scores = queries @ vectors.at(these).T
        for number, (told, places) in enumerate(found):
            among = np.concatenate([told, scores[number]]), np.concatenate([places, these])
            found[number] = best(*among, fetch)
    return found


def _by_list(
    vectors: NDArray[np.floating], queries: Vector, fetch: int, positions: NDArray[np.int64]
) -> list[Found]:
    import faiss

    count, dimension = queries.shape
    scores = np.empty((count, fetch), np.float32)
    places = np.empty((count, fetch), np.int64)
    pointers = map(faiss.swig_ptr, (queries, vectors, positions))
    faiss.knn_inner_products_by_idx(
        *pointers,
        dimension,
        count,
        len(vectors),
        len(positions),
        fetch,
        faiss.swig_ptr(scores),
        faiss.swig_ptr(places),
        0,  # all queries are compared with the same
    )
    return list(zip(scores, places, strict=True))


def _by_bits(
    vectors: NDArray[np.floating], queries: Vector, fetch: int, eligible: NDArray[np.bool_] | None
) -> list[Found]:
    """Several queries in one pass, where that pays.

    Faiss multiplies matrices only from so many numbers of queries on (333 queries of 384) that a
    batch takes as long as its queries one by one; 64 of them take an eighth of that. Its limit is
    the process's: it is put back, and another thread's search is at worst slower meanwhile.
    """
    import faiss

    count, dimension = queries.shape
    scores = np.empty((count, fetch), np.float32)
    places = np.empty((count, fetch), np.int64)
    bits = None if eligible is None else np.packbits(eligible, bitorder="little")
    usual = _usual_limit()
    if count >= TOGETHER:
        faiss.cvar.distance_compute_blas_threshold = TOGETHER * dimension
    try:
        faiss.knn_inner_product(
            faiss.swig_ptr(queries),
            faiss.swig_ptr(vectors),
            dimension,
            count,
            len(vectors),
            fetch,
            faiss.swig_ptr(scores),
            faiss.swig_ptr(places),
            None if bits is None else faiss.IDSelectorBitmap(bits),
        )
    finally:
        faiss.cvar.distance_compute_blas_threshold = usual
    return list(zip(scores, places, strict=True))


def _usual_limit() -> int:
    with _LIMIT_READ:  # by one thread, before any changes it
        return _first_limit()


@cache
def _first_limit() -> int:
    import faiss

    return int(faiss.cvar.distance_compute_blas_threshold)
