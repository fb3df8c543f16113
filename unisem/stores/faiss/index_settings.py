"""`IndexSettings`: the kinds of Faiss index that a segment can be, and how they are used."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, cast

from unisem.stores.faiss.raw_file import PRECISIONS, Precision

IndexKind = Literal["flat", "hnsw", "ivf_pq"]
KINDS: tuple[IndexKind, ...] = ("flat", "hnsw", "ivf_pq")
EXACT_UP_TO = 50_000
"""Vectors that ``auto`` scans exactly: a millisecond or two each query on one core."""

_GONE = ("sq8", "ivf", "rabitq", "ivf_rabitq")


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How a space indexes its vectors and how hard a search tries.

    Attributes:
        kind: Kind of index that compaction builds; ``"auto"`` chooses by size, and by what is
            found of the space's own vectors.
        effort: How much of a graph (``efSearch``), how many lists (``nprobe``) or how many codes'
            vectors a search looks at, as a multiple of what is usual here; more finds more and
            takes longer. ``flat`` looks at everything.
        oversampling: Of codes: how many times more vectors than wanted are scored
            exactly; ``None`` for as many as were found to be needed when the index was built.
        raw: How an index of codes keeps the vectors by which scores are computed: ``"float32"``, to
            the bit, or ``"float16"``, rounded, in half the space.
    """

    kind: IndexKind | Literal["auto"] = "auto"
    effort: float = 1.0
    oversampling: int | None = None
    raw: Precision = "float32"

    def __post_init__(self) -> None:
        if self.kind in _GONE:
            raise ValueError(
                f"there is no index of the kind {self.kind!r} any more; 'ivf_pq' is faster"
            )
        if self.kind not in (*KINDS, "auto"):
            raise ValueError(f"index must be one of {', '.join(KINDS)} or auto, not {self.kind!r}")
        if not 0 < self.effort < math.inf:
            raise ValueError(f"effort must be a number above 0, not {self.effort!r}")
        times = self.oversampling
        if times is not None and (not isinstance(times, int) or times < 1):
            raise ValueError(f"oversampling must be a whole number of at least 1, not {times!r}")
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
    return "ivf_pq", f"{count:,} vectors are many to compare; codes in lists say which"
