"""`IndexSettings`: the kinds of Faiss index that a segment can be, and how they are used."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from unisem.records import Vector
from unisem.stores.faiss.raw_file import PRECISIONS, Precision

IndexKind = Literal["flat", "hnsw", "ivf", "sq8"]
KINDS: tuple[IndexKind, ...] = ("flat", "hnsw", "ivf", "sq8")
CODED: tuple[IndexKind, ...] = ("sq8",)
"""Kinds that search by codes, and score what they find by the vectors themselves."""
EXACT_UP_TO = 100_000
"""Vectors that ``auto`` scans exactly: a few milliseconds each query on one core."""

_LINKS = 16  # HNSW's M
_BUILD_EFFORT = 80  # HNSW's efConstruction
_EFFORT = 128  # HNSW's efSearch where nothing is filtered out
_MOST_EFFORT = 8192


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How a space indexes its vectors and how hard a search tries.

    Attributes:
        kind: Kind of index that compaction builds; ``"auto"`` chooses by size.
        effort: How much of a graph (``efSearch``) or how many lists (``nprobe``) a search looks at,
            as a multiple of what is usual here; more finds more and takes longer. ``flat`` and
            ``sq8`` look at everything.
        oversampling: Of ``sq8``: how many times more vectors than wanted are rescored exactly.
        raw: How ``sq8`` keeps the vectors by which scores are computed: ``"float32"``, to the bit,
            or ``"float16"``, rounded, in half the space.
    """

    kind: IndexKind | Literal["auto"] = "auto"
    effort: float = 1.0
    oversampling: int = 4
    raw: Precision = "float32"

    def __post_init__(self) -> None:
        if self.kind not in (*KINDS, "auto"):
            raise ValueError(f"index must be one of {', '.join(KINDS)} or auto, not {self.kind!r}")
        if not 0 < self.effort < math.inf:
            raise ValueError(f"effort must be a number above 0, not {self.effort!r}")
        if not isinstance(self.oversampling, int) or self.oversampling < 1:
            raise ValueError(
                f"oversampling must be a whole number of at least 1, not {self.oversampling!r}"
            )
        if self.raw not in PRECISIONS:
            raise ValueError(f"raw must be one of {', '.join(PRECISIONS)}, not {self.raw!r}")

    @classmethod
    def of(cls, index: str | IndexSettings) -> IndexSettings:
        """Take a kind for usual settings of that kind."""
        return index if isinstance(index, cls) else cls(kind=cast(Any, index))


Index = IndexKind | Literal["auto"] | IndexSettings
"""What a space may be told of its index: a kind, or more."""


def choose_kind(count: int) -> tuple[IndexKind, str]:
    """The kind that a number of vectors asks for, and why."""
    if count <= EXACT_UP_TO:
        return "flat", f"{count:,} vectors are scanned exactly in milliseconds"
    return "hnsw", f"{count:,} vectors are too many to scan for every query; a graph finds them"


def build_index(kind: IndexKind, vectors: Vector, seed: int = 0) -> Any | None:
    """Build a Faiss index for inner product over ``(n, d)`` float32 unit rows.

    ``None`` for a kind that needs none.
    """
    import faiss

    if kind == "flat":
        return None
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
    else:
        index = faiss.IndexScalarQuantizer(
            dimension, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
        index.train(vectors)
    index.add(vectors)
    return index


def search_parameters(
    kind: IndexKind, index: Any, fetch: int, bits: Any, share: float, effort: float = 1.0
) -> Any:
    """What Faiss is told for one search.

    Args:
        kind: The index's kind.
        index: The index.
        fetch: Vectors wanted.
        bits: ``IDSelectorBitmap`` bits, or ``None`` for all.
        share: Share of the vectors that may be found; the fewer, the wider the search.
        effort: How wide, as a multiple of the usual.
    """
    import faiss

    selector = None if bits is None else faiss.IDSelectorBitmap(bits)
    if kind == "hnsw":
        width = int(effort * max(_EFFORT, 2 * fetch) / max(share, 1e-6) ** 0.25)
        width = max(fetch, min(width, _MOST_EFFORT))
        return faiss.SearchParametersHNSW(sel=selector, efSearch=width)
    if kind == "ivf":
        probes = int(effort * max(8, index.nlist // 16) / max(share, 1e-6) ** 0.5)
        return faiss.SearchParametersIVF(sel=selector, nprobe=max(1, min(probes, index.nlist)))
    return None if selector is None else faiss.SearchParameters(sel=selector)
