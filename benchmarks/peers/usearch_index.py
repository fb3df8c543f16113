"""`USearch`: ``usearch.index``, a graph over vectors under numbers, or its scan of a matrix."""

# ruff: noqa: D102  # the docstrings are the base class's
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from usearch.index import Index
from usearch.index import search as scan

from benchmarks.peers.base import Found, Peer, Rows, UnavailableError, Vector

_THREADS = 1


class USearch(Peer):
    """``hnsw``: its graph, read when opened. ``flat``: `usearch.index.search`, a mapped matrix."""

    def __init__(self, directory: Path, dimension: int, kind: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._flat = kind == "flat"
        self._file = directory / ("rows.f32" if self._flat else "rows.usearch")
        self._index: Any = None  # of a scan: the matrix
        if self._file.exists() and self._flat:
            self._index = np.memmap(self._file, np.float32, "r").reshape(-1, dimension)
        elif self._file.exists():
            self._index = Index.restore(str(self._file))
        elif not self._flat:
            self._index = Index(ndim=dimension, metric="ip", dtype="f32")

    def add(self, rows: Rows) -> None:
        if self._flat:
            with self._file.open("ab") as file:
                rows.vectors.tofile(file)
        else:
            self._index.add(np.array(rows.numbers, np.uint64), rows.vectors, threads=_THREADS)

    def build(self) -> str:
        if not self._flat:
            self._index.save(str(self._file))
        return ""

    def delete(self, numbers: list[int]) -> None:
        if self._flat:
            raise UnavailableError("a mapped matrix cannot remove")
        self._index.remove(np.array(numbers, np.uint64))

    def search(self, vector: Vector, k: int, below_year: int | None) -> list[Found]:
        if below_year is not None:
            raise UnavailableError("its Python search takes no filter")
        if self._flat:
            found = scan(self._index, vector, k, "ip", exact=True, threads=_THREADS)
        else:
            found = self._index.search(vector, k, threads=_THREADS)
        return [Found(int(number), "", 0) for number in found.keys]

    def tune(self, effort: int | None) -> None:
        self._index.expansion_search = effort or 64

    def close(self) -> None:
        self._index = None
