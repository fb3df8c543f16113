"""`Segment`: an immutable Faiss index of vectors, in memory or mapped from its file.

On disk a segment is ``vectors-N.faiss`` and ``vectors-N.npy`` (the vectors' numbers), N being the
transaction it reflects, and ``vectors.json``, its seal: names, sizes and checksums. The two are
written whole under temporary names and renamed; the seal comes last, so it always names a whole
pair. Files that do not agree with their seal are ignored and rebuilt.

A mapped Faiss index must never be added to (Faiss aborts the process); nothing here can.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import xxhash
from numpy.typing import NDArray

from unisem.search import Vector
from unisem.stores.faiss.kinds import (
    KINDS,
    IndexKind,
    build_index,
    raw_vectors,
    search_parameters,
)

_SEAL = "vectors.json"
_CHUNK = 1 << 24  # bytes that are hashed or scanned at a time
_FEW = 2_000  # vectors so few that scanning them beats any index
_SPARSE = 0.02  # a selection this small is scanned; a graph would lose its way in it

Found = tuple[NDArray[np.floating[Any]], NDArray[np.int64]]
"""Scores, descending, and positions (or numbers) of the vectors that have them."""

Raw = Callable[[NDArray[np.int64]], Vector]
"""Gives the raw vectors of vector numbers, in order."""


class Segment:
    """Vectors that will not change, searchable by inner product.

    Attributes:
        kind: Which kind of index.
        vector_ids: ``(n,)`` int64, ascending; a vector's position is its place here.
        transaction: The catalogue transaction that the contents reflect.
        oversampling: How many times more vectors than wanted a quantised kind looks up to rescore.
    """

    oversampling: int = 4

    def __init__(
        self, kind: IndexKind, index: Any, vector_ids: NDArray[np.int64], transaction: int
    ) -> None:
        self.kind = kind
        self.vector_ids = vector_ids
        self.transaction = transaction
        self._index = index
        self._raw = raw_vectors(kind, index)
        if kind == "ivf":
            index.make_direct_map()

    @classmethod
    def build(
        cls, kind: IndexKind, vectors: Vector, vector_ids: NDArray[np.int64], transaction: int
    ) -> Segment:
        """Index vectors in memory; a graph over a million of them takes minutes."""
        return cls(kind, build_index(kind, vectors), vector_ids, transaction)

    def __len__(self) -> int:
        return len(self.vector_ids)

    @property
    def is_exact(self) -> bool:
        """Whether a search misses nothing."""
        return self.kind in ("flat", "sq8")

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._index.d)

    def search(
        self, queries: Vector, fetch: int, eligible: NDArray[np.bool_] | None, count: int, raw: Raw
    ) -> list[Found]:
        """Find the best vectors of each query.

        Args:
            queries: ``(q, d)`` float32.
            fetch: How many are wanted.
            eligible: ``(n,)`` which may be found; ``None`` for all.
            count: How many may be found.
            raw: Gives exact vectors, for kinds that keep none.

        Returns:
            For each query ``min(fetch, count)`` vectors, scored as exactly as float32 allows.
        """
        wanted = min(fetch, count)
        fetch = min(wanted * self.oversampling, count) if self.kind == "sq8" else wanted
        if not fetch:
            return [(np.empty(0, np.float32), np.empty(0, np.int64)) for _ in queries]
        if not self.is_exact and (count <= _FEW or count <= _SPARSE * len(self)):
            return [self._scan(query, fetch, eligible) for query in queries]
        bits = None if eligible is None else np.packbits(eligible, bitorder="little")
        parameters = search_parameters(self.kind, self._index, fetch, bits, count / len(self))
        scores, positions = self._index.search(queries, fetch, params=parameters)
        found: list[Found] = []
        for query, row, places in zip(queries, scores, positions, strict=True):
            if places[-1] < 0:  # the graph lost its way, though there is more
                found.append(self._scan(query, fetch, eligible))
            elif self.kind == "sq8":
                found.append(best(raw(self.vector_ids[places]) @ query, places, wanted))
            else:
                found.append((row, places))
        return found

    def vectors_at(self, positions: NDArray[np.int64], raw: Raw) -> Vector:
        """``(n, d)`` float32 vectors at these positions, exact for every kind."""
        if self._raw is not None:
            return self._raw[positions]
        if self.kind == "ivf" and len(positions):
            exact: Vector = self._index.reconstruct_batch(positions)
            return exact
        return raw(self.vector_ids[positions])

    def _scan(self, query: Vector, fetch: int, eligible: NDArray[np.bool_] | None) -> Found:
        """Compare every eligible vector, a block at a time."""
        positions = np.arange(len(self)) if eligible is None else np.flatnonzero(eligible)
        scores = np.empty(len(positions), np.float32)
        rows = max(1, _CHUNK // (4 * self.dimension))
        for start in range(0, len(positions), rows):
            block = positions[start : start + rows]
            if self._raw is not None:
                vectors = self._raw[block]
            else:
                vectors = self._index.reconstruct_batch(block)
            scores[start : start + rows] = vectors @ query
        return best(scores, positions, fetch)

    def save(self, directory: Path) -> None:
        """Write the segment's files and its seal, then remove those of the segment before."""
        import faiss

        stem = f"vectors-{self.transaction}"
        index_path, numbers_path = directory / f"{stem}.faiss", directory / f"{stem}.npy"
        temporary = _temporary(index_path)
        faiss.write_index(self._index, str(temporary))
        publish(temporary, index_path)
        temporary = _temporary(numbers_path)
        with temporary.open("wb") as file:
            np.save(file, self.vector_ids, allow_pickle=False)
        publish(temporary, numbers_path)
        seal = {
            "kind": self.kind,
            "transaction": self.transaction,
            "files": {path.name: _fingerprint(path) for path in (index_path, numbers_path)},
        }
        temporary = _temporary(directory / _SEAL)
        temporary.write_text(json.dumps(seal, indent=2) + "\n", encoding="utf-8")
        publish(temporary, directory / _SEAL)
        for path in directory.glob("vectors-*"):
            if path not in (index_path, numbers_path):
                path.unlink(missing_ok=True)

    @classmethod
    def load(cls, directory: Path, dimension: int) -> Segment | None:
        """Map the sealed segment, or return ``None`` if it is missing or does not agree."""
        import faiss

        try:
            seal = json.loads((directory / _SEAL).read_text(encoding="utf-8"))
            paths = [directory / Path(name).name for name in seal["files"]]
            for path in paths:
                if _fingerprint(path) != seal["files"][path.name]:
                    return None
            kind, transaction = seal["kind"], int(seal["transaction"])
            index_path = next(path for path in paths if path.suffix == ".faiss")
            numbers_path = next(path for path in paths if path.suffix == ".npy")
            vector_ids = np.load(numbers_path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, KeyError, TypeError, StopIteration, AttributeError):
            return None
        if kind not in KINDS:
            return None
        index = faiss.read_index(str(index_path), faiss.IO_FLAG_MMAP_IFC)
        if index.d != dimension or index.ntotal != len(vector_ids):
            return None
        return cls(cast(IndexKind, kind), index, vector_ids, transaction)


def best(scores: NDArray[np.floating[Any]], positions: NDArray[np.int64], fetch: int) -> Found:
    """The ``fetch`` best of some scored positions, best first."""
    if fetch < len(scores):
        kept = np.argpartition(-scores, fetch - 1)[:fetch]
        scores, positions = scores[kept], positions[kept]
    order = np.argsort(-scores, kind="stable")
    return scores[order], positions[order]


def _fingerprint(path: Path) -> dict[str, Any]:
    """Size and XXH3 checksum: for damage, not for malice, at the speed of memory."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for start in range(0, len(data), _CHUNK):
            digest.update(data[start : start + _CHUNK])
        return {"bytes": len(data), "xxh3": digest.hexdigest()}


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def publish(temporary: Path, final: Path) -> None:
    """Rename a finished file into its place so that it survives a power cut, whole."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
