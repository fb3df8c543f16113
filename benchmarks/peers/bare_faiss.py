"""`BareFaiss`: the index alone, without records; the floor that everything is compared with."""

# ruff: noqa: D102  # the docstrings are the base class's
from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from benchmarks.peers.base import Found, Peer, Rows, UnavailableError, Vector, selected

build_index: Any = None
search_parameters: Any = None
with contextlib.suppress(ImportError):
    # The very index that the store builds, so that only what lies around it differs.
    from unisem.stores.faiss.index_settings import build_index, search_parameters


class BareFaiss(Peer):
    """A Faiss index in memory; what it finds are numbers, and a filter is a bitmap selector.

    The filter is a comparison over the array of all years for each query: no catalogue, no plan.
    """

    def __init__(self, directory: Path, dimension: int, kind: str) -> None:
        if build_index is None and kind != "flat":
            raise UnavailableError("the store in this checkout has only flat indexes")
        self._directory = directory
        self._kind: Any = kind
        self._effort: int | None = None
        self._index: Any = faiss.IndexFlatIP(dimension)
        self._vectors: list[Vector] = []
        self._years: Any = np.empty(0, np.int64)
        if self._file.exists():
            self._index = faiss.read_index(str(self._file))
            self._years = np.load(directory / "years.npy")

    @property
    def _file(self) -> Path:
        return self._directory / "vectors.faiss"

    def add(self, rows: Rows) -> None:
        if self._kind == "flat":
            self._index.add(rows.vectors)
        else:
            self._vectors.append(rows.vectors)
        years = np.array([metadata["year"] for metadata in rows.metadata], np.int64)
        self._years = np.concatenate([self._years, years])

    def build(self) -> None:
        if self._vectors:
            vectors = np.concatenate(self._vectors)
            self._vectors.clear()
            self._index = build_index(self._kind, vectors)
        self._directory.mkdir(parents=True, exist_ok=True)
        faiss.write_index(self._index, str(self._file))
        np.save(self._directory / "years.npy", self._years)

    def delete(self, numbers: list[int]) -> None:
        if self._kind == "hnsw":
            raise UnavailableError("a Faiss HNSW index cannot remove")
        if self._kind != "ivf":
            raise UnavailableError("removing from this index renumbers its rows")
        self._index.remove_ids(np.array(numbers, np.int64))

    def search(self, vector: Vector, k: int, below_year: int | None) -> list[Found]:
        bits = None if below_year is None else selected(self._years < below_year)
        _, places = self._index.search(vector[None], k, params=self._parameters(k, bits))
        return [Found(place, "", 0) for place in places[0].tolist() if place >= 0]

    def tune(self, effort: int | None) -> None:
        self._effort = effort

    def close(self) -> None:
        self._index = None

    def _parameters(self, k: int, bits: Any) -> Any:
        if self._effort is None and search_parameters is not None:
            return search_parameters(self._kind, self._index, k, bits, 1.0)
        selector = None if bits is None else faiss.IDSelectorBitmap(bits)
        if self._kind == "hnsw":
            return faiss.SearchParametersHNSW(sel=selector, efSearch=self._effort)
        if self._kind == "ivf":
            return faiss.SearchParametersIVF(sel=selector, nprobe=self._effort)
        return None if selector is None else faiss.SearchParameters(sel=selector)
