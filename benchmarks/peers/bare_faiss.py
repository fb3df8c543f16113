"""`BareFaiss`: the index alone, without records; the floor that everything is compared with."""

# ruff: noqa: D102  # the docstrings are the base class's
from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np

from benchmarks.peers.base import Found, Peer, Rows, UnavailableError, Vector, selected

LINKS, BUILD_EFFORT, EFFORT = 16, 80, 128  # HNSW's M, efConstruction and efSearch
PROBES = 64  # lists that are looked through
LEVELS = 8  # of Panorama


class BareFaiss(Peer):
    """A Faiss index in memory; what it finds are numbers, and a filter is a bitmap selector.

    The filter is a comparison over the array of all years for each query: no catalogue, no plan.
    Kinds that keep codes only are rescored from the float32 vectors in memory. ``rabitq`` takes
    no selector in this Faiss.
    """

    def __init__(self, directory: Path, dimension: int, kind: str) -> None:
        self._directory = directory
        self._kind = kind
        self._dimension = dimension
        self._effort: int | None = None
        self._vectors: Any = np.empty((0, dimension), np.float32)
        self._added: list[Vector] = []
        self._years: Any = np.empty(0, np.int64)
        self._index: Any = None
        if self._file.exists():
            self._index = faiss.read_index(str(self._file))
            self._years = np.load(directory / "years.npy")
            if kind in ("rabitq", "ivf_rabitq"):
                self._vectors = np.load(directory / "vectors.npy")

    @property
    def _file(self) -> Path:
        return self._directory / "vectors.faiss"

    def add(self, rows: Rows) -> None:
        self._added.append(rows.vectors)
        years = np.array([metadata["year"] for metadata in rows.metadata], np.int64)
        self._years = np.concatenate([self._years, years])

    def build(self) -> str:
        vectors = np.concatenate(self._added)
        self._added.clear()
        self._index = build(self._kind, vectors)
        self._directory.mkdir(parents=True, exist_ok=True)
        faiss.write_index(self._index, str(self._file))
        np.save(self._directory / "years.npy", self._years)
        if self._kind in ("rabitq", "ivf_rabitq"):
            np.save(self._directory / "vectors.npy", vectors)
        return ""

    def delete(self, numbers: list[int]) -> None:
        raise UnavailableError("removing from an index without records renumbers its rows")

    def search(self, vector: Vector, k: int, below_year: int | None) -> list[Found]:
        bits = None if below_year is None else selected(self._years < below_year)
        fetch = k
        if self._kind in ("rabitq", "ivf_rabitq"):
            effort = self._effort if self._kind == "rabitq" else None
            fetch = min(effort or shortlist_for(self._index.ntotal), self._index.ntotal)
        _, places = self._index.search(vector[None], fetch, params=self._parameters(bits))
        found = places[0][places[0] >= 0]
        if fetch > k:
            found = found[np.argsort(-(self._vectors[found] @ vector), kind="stable")[:k]]
        return [Found(place, "", 0) for place in found.tolist()]

    def tune(self, effort: int | None) -> None:
        self._effort = effort

    def close(self) -> None:
        self._index = None

    def _parameters(self, bits: Any) -> Any:
        selector = None if bits is None else faiss.IDSelectorBitmap(bits)
        if self._kind == "hnsw":
            return faiss.SearchParametersHNSW(sel=selector, efSearch=self._effort or EFFORT)
        if self._kind == "ivf_rabitq":
            probes = min(self._effort or PROBES, faiss.extract_index_ivf(self._index).nlist)
            inner = faiss.IVFRaBitQSearchParameters()
            inner.nprobe, inner.sel = probes, selector
            return faiss.SearchParametersPreTransform(index_params=inner)
        if selector is None:
            return None
        if self._kind == "rabitq":
            raise UnavailableError("Faiss's RaBitQ codes outside lists take no selector")
        parameters = faiss.SearchParameters(sel=selector)
        if self._kind == "panorama":
            return faiss.SearchParametersPreTransform(index_params=parameters)
        return parameters


def build(kind: str, vectors: Vector) -> Any:
    """A Faiss index of one of the kinds over ``(n, d)`` float32 unit rows."""
    dimension, product = vectors.shape[1], faiss.METRIC_INNER_PRODUCT
    index: Any
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(dimension, LINKS, product)
        index.hnsw.efConstruction = BUILD_EFFORT
    elif kind == "panorama":
        some = _some(vectors, 50_000)
        turn = faiss.LinearTransform(dimension, dimension, False)
        # The principal axes first, nothing subtracted: products must stay what they are.
        axes = np.linalg.eigh(some.T @ some)[1][:, ::-1].T
        faiss.copy_array_to_vector(np.ascontiguousarray(axes, np.float32).ravel(), turn.A)
        turn.is_trained = True
        index = faiss.IndexPreTransform(turn, faiss.IndexFlatIPPanorama(dimension, LEVELS))
    elif kind == "rabitq":
        index = codes(dimension)
        index.train(_some(vectors, 50_000))
    elif kind == "ivf_rabitq":
        lists = lists_for(len(vectors))
        index = codes(dimension, lists)
        index.train(_some(vectors, 64 * lists))
    else:
        index = faiss.IndexFlatIP(dimension)
    index.add(vectors)
    return index


def codes(dimension: int, lists: int = 0) -> Any:
    """RaBitQ codes after a random rotation, one bit a dimension; in inverted lists if told."""
    product = faiss.METRIC_INNER_PRODUCT
    turn = faiss.RandomRotationMatrix(dimension, dimension)
    turn.init(1)
    if not lists:
        return faiss.IndexPreTransform(turn, faiss.IndexRaBitQFastScan(dimension, product))
    coarse = faiss.IndexFlatIP(dimension)
    inner = faiss.IndexIVFRaBitQFastScan(coarse, dimension, lists, product)
    coarse.this.disown()
    inner.own_fields = True
    return faiss.IndexPreTransform(turn, inner)


def lists_for(rows: int) -> int:
    """How many lists: the square root of the rows, from a million on four times that to 4,096."""
    lists = min(4096, int(rows**0.5) * (4 if rows >= 10**6 else 1))
    return max(1, min(lists, rows // 39))  # Faiss wants 39 vectors to train a list


def shortlist_for(rows: int) -> int:
    """How many are scored exactly: 212 of 20,000, 1,500 of a million."""
    return int(1.5 * rows**0.5)


def _some(vectors: Vector, count: int) -> Vector:
    """At most so many of the rows, drawn with a fixed seed."""
    if len(vectors) <= count:
        return vectors
    chosen = np.random.default_rng(0).permutation(len(vectors))[:count]
    return np.ascontiguousarray(vectors[np.sort(chosen)])
