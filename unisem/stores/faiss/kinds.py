"""The kinds of Faiss index that a segment can be, and which one a size asks for."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unisem.search import Vector

IndexKind = Literal["flat", "hnsw", "ivf", "sq8"]
KINDS: tuple[IndexKind, ...] = ("flat", "hnsw", "ivf", "sq8")
EXACT_UP_TO = 100_000
"""Vectors that ``auto`` scans exactly: a few milliseconds each query on one core."""

_LINKS = 16  # HNSW's M
_BUILD_EFFORT = 80  # HNSW's efConstruction
_EFFORT = 128  # HNSW's efSearch where nothing is filtered out
_MOST_EFFORT = 8192


def choose_kind(count: int) -> tuple[IndexKind, str]:
    """The kind that a number of vectors asks for, and why."""
    if count <= EXACT_UP_TO:
        return "flat", f"{count:,} vectors are scanned exactly in milliseconds"
    return "hnsw", f"{count:,} vectors are too many to scan for every query; a graph finds them"


def build_index(kind: IndexKind, vectors: Vector, seed: int = 0) -> Any:
    """Build a Faiss index for inner product over ``(n, d)`` float32 unit rows."""
    import faiss

    dimension = vectors.shape[1]
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(dimension, _LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _BUILD_EFFORT
    elif kind == "ivf":
        lists = max(1, int(4 * np.sqrt(len(vectors))))
        lists = min(lists, max(1, len(vectors) // 39))  # Faiss wants 39 vectors to train a list
        index = faiss.IndexIVFFlat(
            faiss.IndexFlatIP(dimension), dimension, lists, faiss.METRIC_INNER_PRODUCT
        )
        index.cp.seed = seed + 1234
        chosen = np.random.default_rng(seed).permutation(len(vectors))[: 64 * lists]
        index.train(np.ascontiguousarray(vectors[np.sort(chosen)]))
    elif kind == "sq8":
        index = faiss.IndexScalarQuantizer(
            dimension, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
        index.train(vectors)
    else:
        index = faiss.IndexFlatIP(dimension)
    index.add(vectors)
    return index


def search_parameters(kind: IndexKind, index: Any, fetch: int, bits: Any, share: float) -> Any:
    """What Faiss is told for one search.

    Args:
        kind: The index's kind.
        index: The index.
        fetch: Vectors wanted.
        bits: ``IDSelectorBitmap`` bits, or ``None`` for all.
        share: Share of the vectors that may be found; the fewer, the wider the search.
    """
    import faiss

    selector = None if bits is None else faiss.IDSelectorBitmap(bits)
    if kind == "hnsw":
        effort = int(max(_EFFORT, 2 * fetch) / max(share, 1e-6) ** 0.35)
        return faiss.SearchParametersHNSW(sel=selector, efSearch=min(effort, _MOST_EFFORT))
    if kind == "ivf":
        probes = max(8, index.nlist // 16) / max(share, 1e-6) ** 0.5
        return faiss.SearchParametersIVF(sel=selector, nprobe=int(min(probes, index.nlist)))
    return None if selector is None else faiss.SearchParameters(sel=selector)


def raw_vectors(kind: IndexKind, index: Any) -> NDArray[np.float32] | None:
    """A view of the vectors that an index holds unchanged, ``None`` if it holds none such."""
    import faiss

    if kind not in ("flat", "hnsw") or not index.ntotal:
        return None
    storage = faiss.downcast_index(index.storage) if kind == "hnsw" else index
    view: NDArray[np.float32] = faiss.rev_swig_ptr(storage.get_xb(), index.ntotal * index.d)
    return view.reshape(index.ntotal, index.d)
