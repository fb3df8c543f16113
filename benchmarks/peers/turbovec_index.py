"""`TurboVec`: ``turbovec.IdMapIndex``, codes of four bits a dimension under numbers."""

# ruff: noqa: D102  # the docstrings are the base class's
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from turbovec import IdMapIndex

from benchmarks.peers.base import Found, Peer, Rows, Vector

_BITS = 4


class TurboVec(Peer):
    """As it comes, nothing is rescored by the vectors themselves; with a shortlist, that many are.

    The float32 vectors for that lie in a mapped file beside the index.
    """

    def __init__(self, directory: Path, dimension: int, kind: str) -> None:
        del kind
        self._directory = directory
        self._shortlist: int | None = None
        self._years: Any = np.empty(0, np.int64)
        self._added: list[Vector] = []
        if self._file.exists():
            self._index: Any = IdMapIndex.load(str(self._file))
            self._years = np.load(directory / "years.npy")
            self._vectors = np.load(directory / "vectors.npy", mmap_mode="r")
        else:
            self._index = IdMapIndex(dim=dimension, bit_width=_BITS)

    @property
    def _file(self) -> Path:
        return self._directory / "rows.tv"

    def add(self, rows: Rows) -> None:
        self._index.add_with_ids(rows.vectors, np.array(rows.numbers, np.uint64))
        self._added.append(rows.vectors)
        years = np.array([metadata["year"] for metadata in rows.metadata], np.int64)
        self._years = np.concatenate([self._years, years])

    def build(self) -> str:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._index.write(str(self._file))
        np.save(self._directory / "years.npy", self._years)
        np.save(self._directory / "vectors.npy", np.concatenate(self._added))
        return ""

    def delete(self, numbers: list[int]) -> None:
        for number in numbers:
            self._index.remove(number)

    def search(self, vector: Vector, k: int, below_year: int | None) -> list[Found]:
        allowed = None
        if below_year is not None:
            allowed = np.flatnonzero(self._years < below_year).astype(np.uint64)
        fetch = max(k, self._shortlist or k)
        _, found = self._index.search(vector[None], k=fetch, allowlist=allowed)
        numbers = found[0].astype(np.int64)
        if fetch > k:
            scores = self._vectors[numbers] @ vector
            numbers = numbers[np.argsort(-scores, kind="stable")[:k]]
        return [Found(number, "", 0) for number in numbers.tolist()]

    def tune(self, effort: int | None) -> None:
        self._shortlist = effort

    def close(self) -> None:
        del self._index
