"""`VectorIndex`: the Faiss side of a space, derived from the catalogue.

On disk it is two files, ``vectors.faiss`` and ``vectors.json``. The first is written whole under
a temporary name and renamed; then the second, which holds the first one's size and SHA-256 and
the catalogue transaction that it reflects, likewise. A pair that does not agree is ignored and
rebuilt, so neither a crash nor a flipped byte can give a wrong answer.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisem.search import Match, Vector
from unisem.stores.faiss.catalog import Changes, VectorId

_FILE, _SEAL = "vectors.faiss", "vectors.json"


class VectorIndex:
    """Vectors of one dimension, searchable by inner product, with exact selection.

    Not thread-safe by itself; the store holds a lock around it.

    Attributes:
        transaction: The catalogue transaction that the contents reflect.
    """

    def __init__(self, dimension: int) -> None:
        import faiss

        self._index: Any = faiss.IndexFlatIP(dimension)
        self._vector_ids = np.empty(0, np.int64)  # by position in the index, ascending
        self._alive = np.empty(0, np.bool_)
        self.transaction = 0

    @property
    def last_vector_id(self) -> int:
        """The largest number that was ever added; -1 before the first."""
        return int(self._vector_ids[-1]) if len(self._vector_ids) else -1

    def __len__(self) -> int:
        return int(self._alive.sum())

    def apply(self, changes: Changes, transaction: int) -> None:
        """Bring the contents to a later transaction."""
        if len(changes.removed_rows):
            rows = VectorId.rows(self._vector_ids)
            self._alive &= ~np.isin(rows, changes.removed_rows)
        if len(changes.vector_ids):
            self._index.add(np.ascontiguousarray(changes.vectors))
            self._vector_ids = np.concatenate([self._vector_ids, changes.vector_ids])
            self._alive = np.concatenate([self._alive, np.ones(len(changes.vector_ids), np.bool_)])
        self.transaction = transaction

    def search(
        self, queries: Vector, k: int, rows: NDArray[np.int64] | None, match: Match
    ) -> list[tuple[Vector, NDArray[np.int64]]]:
        """Find the best records of each query.

        Args:
            queries: ``(n, d)`` float32.
            k: Records per query.
            rows: The catalogue rows that may be found, ascending; ``None`` for all.
            match: Which kind of vector may be compared.

        Returns:
            For each query the scores (descending) and vector ids of at least ``k`` distinct
            records, or of all there are: one vector a record, the best. Records tied with the
            last one are all there, so that the caller can break ties its own way.
        """
        eligible = self._eligible(rows, match)
        available = int(eligible.sum())
        if not available or not k:
            return [(np.empty(0, np.float32), np.empty(0, np.int64)) for _ in queries]
        results: list[tuple[Vector, NDArray[np.int64]] | None] = [None] * len(queries)
        pending = np.arange(len(queries))
        fetch = min(available, 2 * k + 8)
        while len(pending):
            scores, positions = self._scan(queries[pending], fetch, eligible, available)
            for query, row_scores, row_positions in zip(pending, scores, positions, strict=True):
                best = _best_per_row(row_scores, self._vector_ids[row_positions])
                enough = len(best[0]) > k and best[0][k - 1] > row_scores[-1]
                if enough or fetch == available:
                    results[query] = best
            pending = np.array([i for i in pending if results[i] is None], np.int64)
            fetch = min(available, fetch * 4)
        return [result for result in results if result is not None]

    def _eligible(self, rows: NDArray[np.int64] | None, match: Match) -> NDArray[np.bool_]:
        eligible = self._alive
        if rows is not None:
            eligible = eligible & np.isin(VectorId.rows(self._vector_ids), rows)
        if match != "any":
            eligible = eligible & (VectorId.are_images(self._vector_ids) == (match == "image"))
        return eligible

    def _scan(
        self, queries: Vector, fetch: int, eligible: NDArray[np.bool_], available: int
    ) -> tuple[Vector, NDArray[np.int64]]:
        import faiss

        parameters = None
        if available < len(eligible):
            bits = np.packbits(eligible, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)
            parameters = faiss.SearchParameters(sel=selector)
        scores, positions = self._index.search(queries, fetch, params=parameters)
        return scores, positions

    def save(self, directory: Path) -> None:
        """Write the pair of files; vectors of removed records are left out."""
        import faiss

        named = faiss.IndexIDMap(faiss.IndexFlatIP(self._index.d))
        if len(self):
            vectors = self._index.reconstruct_n(0, self._index.ntotal)
            named.add_with_ids(
                np.ascontiguousarray(vectors[self._alive]), self._vector_ids[self._alive]
            )
        temporary = directory / f".{_FILE}.tmp"
        faiss.write_index(named, str(temporary))
        seal = _seal(temporary, self.transaction)
        _publish(temporary, directory / _FILE)
        temporary = directory / f".{_SEAL}.tmp"
        temporary.write_text(json.dumps(seal) + "\n", encoding="utf-8")
        _publish(temporary, directory / _SEAL)

    @classmethod
    def load(cls, directory: Path, dimension: int) -> VectorIndex | None:
        """Read the pair of files, or return ``None`` if it is missing or does not agree."""
        import faiss

        path = directory / _FILE
        try:
            seal = json.loads((directory / _SEAL).read_text(encoding="utf-8"))
            if seal != _seal(path, seal["transaction"]):
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        named = faiss.read_index(str(path))
        if named.d != dimension:
            return None
        loaded = cls(dimension)
        loaded._index = faiss.clone_index(faiss.downcast_index(named.index))
        loaded._vector_ids = faiss.vector_to_array(named.id_map).copy()
        loaded._alive = np.ones(len(loaded._vector_ids), np.bool_)
        loaded.transaction = seal["transaction"]
        return loaded


def _best_per_row(
    scores: Vector, vector_ids: NDArray[np.int64]
) -> tuple[Vector, NDArray[np.int64]]:
    """Keep each record's best vector; input and output are sorted by descending score."""
    _, first = np.unique(VectorId.rows(vector_ids), return_index=True)
    first.sort()
    return scores[first], vector_ids[first]


def _seal(path: Path, transaction: int) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"transaction": transaction, "bytes": path.stat().st_size, "sha256": digest}


def _publish(temporary: Path, final: Path) -> None:
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
