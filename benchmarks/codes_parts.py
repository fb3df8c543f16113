"""`Parts`: what the parts of a search took over one number of vectors."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from unisem.stores.faiss.kinds.tuning import MARGIN, K

FETCH = K + MARGIN
"""Vectors that a search for ten asks an index for."""


@dataclass(frozen=True)
class Timed:
    """One setting's queries; medians in milliseconds.

    They are the asking thread's processor time, which other work on the machine lengthens little;
    only `first_read_ms` is by the clock, as waiting for a disk is no processor's time.

    Attributes:
        oversampling: How many times `FETCH` vectors are scored exactly.
        probes: Lists looked through.
        recall: ``ann_recall@10``.
        recall_error: Its standard error over the queries.
        looked_at: Codes in those lists, a mean.
        find_ms: Codes.
        lists_ms: The part of it that chooses the lists.
        read_ms: Reading the shortlist's vectors and scoring them, pages in memory.
        first_read_ms: The same when the file's pages were dropped before.
        total_ms: A whole search of the index.
        p95_ms: Its 95th percentile.
    """

    oversampling: int
    probes: int
    recall: float
    recall_error: float
    looked_at: float
    find_ms: float
    lists_ms: float
    read_ms: float
    first_read_ms: float
    total_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Built:
    """What it took to build the index, processor time of one thread.

    Attributes:
        lists: How many.
        train_s: Finding the lists, the turn, and the pairs.
        encode_us: Microseconds a vector: turning, choosing a list, a code.
        assign_us: The part of it that chooses a list.
        tune_s: Finding out what a search needs, on the vectors' own.
        tuning: What was found, as the store keeps it.
        private_mb: Held when it was built.
        load: The machine's load average of a minute then.
    """

    lists: int
    train_s: float
    encode_us: float
    assign_us: float
    tune_s: float
    tuning: dict[str, Any]
    private_mb: float
    load: float


@dataclass(frozen=True)
class Parts:
    """One size.

    Attributes:
        tails: For each query the line ``(a, b)`` of its best scores against the normal quantile of
            their rank: ``a - b * z(rank / rows)``.
        told_tails: The same of the scores that codes tell.
        ranks: For each query how many lists are nearer than those of its ten best vectors.
        file_bytes: The codes' file.
        private_mb: Held by a process that opened it and asked.
        noise: Standard deviation of a code's score about the exact one, of the ten best.
        bias: Its mean.
        timed: Every setting; the store's own is the last.
        load: The machine's load average of a minute when it was asked.
    """

    rows: int
    dimension: int
    queries: int
    tails: list[tuple[float, float]]
    told_tails: list[tuple[float, float]]
    ranks: list[list[int]]
    built: Built
    file_bytes: int
    private_mb: float
    noise: float
    bias: float
    timed: list[Timed]
    load: float

    @classmethod
    def load_file(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        tails, told = ([(a, b) for a, b in raw.pop(name)] for name in ("tails", "told_tails"))
        timed = [Timed(**each) for each in raw.pop("timed")]
        built = Built(**raw.pop("built"))
        return cls(tails=tails, told_tails=told, built=built, timed=timed, **raw)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")
