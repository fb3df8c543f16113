"""`USearch`: ``usearch.index.Index``, a graph over vectors under numbers."""

# ruff: noqa: D102  # the docstrings are the base class's
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from usearch.index import Index

from benchmarks.peers.base import Found, Peer, Rows, UnavailableError, Vector

_THREADS = 1


class USearch(Peer):
    """``hnsw``: its graph, read when opened. ``flat``: the same, mapped, asked ``exact=True``."""

    def __init__(self, directory: Path, dimension: int, kind: str) -> None:
        self._file = directory / "rows.usearch"
        self._kind = kind
        if self._file.exists():
            self._index: Any = Index.restore(str(self._file), view=kind == "flat")
        else:
            self._index = Index(ndim=dimension, metric="ip", dtype="f32")

    def add(self, rows: Rows) -> None:
        self._index.add(np.array(rows.numbers, np.uint64), rows.vectors, threads=_THREADS)

    def build(self) -> str:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._index.save(str(self._file))
        return ""

    def delete(self, numbers: list[int]) -> None:
        if self._kind == "flat":
            raise UnavailableError("a mapped index cannot remove")
        self._index.remove(np.array(numbers, np.uint64))

    def search(self, vector: Vector, k: int, below_year: int | None) -> list[Found]:
        if below_year is not None:
            raise UnavailableError("its Python search takes no filter")
        found = self._index.search(vector, k, exact=self._kind == "flat", threads=_THREADS)
        return [Found(int(number), "", 0) for number in found.keys]

    def tune(self, effort: int | None) -> None:
        self._index.expansion_search = effort or 64

    def close(self) -> None:
        self._index.reset()
