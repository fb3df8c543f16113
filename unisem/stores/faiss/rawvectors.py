"""`RawVectors`: the vectors as they were given, in the catalogue's database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from unisem.records import Modality
from unisem.search import Vector

_SLOT_BITS = 12
MOST_VECTORS = 1 << (_SLOT_BITS - 1)
"""How many vectors of each modality a record may have."""
_PAGE = 4096


class VectorId:
    """A vector's number: ``row << 12 | slot << 1 | is_image``, so it says whose and of what.

    Up to 2,048 vectors of each modality fit one record. Numbers grow with their rows and are
    never used twice.
    """

    @staticmethod
    def make(row: int, slot: int, modality: Modality) -> int:
        """Number the ``slot``-th vector of that modality of a record."""
        return row << _SLOT_BITS | slot << 1 | (modality == "image")

    @staticmethod
    def rows(vector_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The record rows of vectors."""
        return vector_ids >> _SLOT_BITS

    @staticmethod
    def are_images(vector_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which vectors were made from a picture."""
        return (vector_ids & 1).astype(np.bool_)


class RawVectors:
    """The ``vectors`` table: little-endian float32 by vector number.

    Args:
        database: The catalogue's connection, whose transactions cover what happens here.
    """

    SCHEMA = "CREATE TABLE IF NOT EXISTS vectors (vector_id INTEGER PRIMARY KEY, vector BLOB)"

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def add(self, vector_ids: NDArray[np.int64], vectors: Vector) -> None:
        """Insert ``(n, d)`` float32 rows."""
        blobs = (row.tobytes() for row in vectors.astype("<f4", copy=False))
        self._db.executemany(
            "INSERT INTO vectors VALUES (?, ?)", zip(vector_ids.tolist(), blobs, strict=True)
        )

    def remove(self, rows: Iterable[int]) -> None:
        """Delete all vectors of records."""
        self._db.executemany(
            "DELETE FROM vectors WHERE vector_id BETWEEN ? AND ?", map(_numbers_of, rows)
        )

    def after(self, last: int, dimension: int) -> tuple[NDArray[np.int64], Vector]:
        """Numbers, ascending, and ``(n, d)`` float32 vectors with a larger number than ``last``."""
        (count,) = self._db.execute(
            "SELECT count(*) FROM vectors WHERE vector_id > ?", (last,)
        ).fetchone()
        vector_ids = np.empty(count, np.int64)
        vectors = np.empty((count, dimension), np.float32)
        found = self._db.execute(
            "SELECT vector_id, vector FROM vectors WHERE vector_id > ? ORDER BY vector_id", (last,)
        )
        done = 0
        while page := found.fetchmany(_PAGE):
            numbers, blobs = zip(*page, strict=True)
            vector_ids[done : done + len(page)] = numbers
            block = np.frombuffer(b"".join(blobs), "<f4")
            vectors[done : done + len(page)] = block.reshape(len(page), dimension)
            done += len(page)
        return vector_ids, vectors

    def of(self, vector_ids: NDArray[np.int64], dimension: int) -> Vector | None:
        """The vectors of these numbers, in order; ``None`` if one of them has been removed."""
        vectors = np.empty((len(vector_ids), dimension), np.float32)
        for place, number in enumerate(vector_ids.tolist()):
            found = self._db.execute("SELECT vector FROM vectors WHERE vector_id = ?", (number,))
            line = found.fetchone()
            if line is None:
                return None
            vectors[place] = np.frombuffer(line[0], "<f4")
        return vectors

    def of_row(self, row: int) -> dict[Modality, Vector]:
        """A record's vectors as they were given: ``(d,)`` for one, ``(n, d)`` for several."""
        found = self._db.execute(
            "SELECT vector_id & 1, vector FROM vectors WHERE vector_id BETWEEN ? AND ?"
            " ORDER BY vector_id",
            _numbers_of(row),
        )
        parts: dict[Modality, list[Vector]] = {}
        for is_image, blob in found:
            vector = np.frombuffer(blob, "<f4").astype(np.float32)
            parts.setdefault("image" if is_image else "text", []).append(vector)
        return {
            modality: rows[0] if len(rows) == 1 else np.stack(rows)
            for modality, rows in parts.items()
        }


def _numbers_of(row: int) -> tuple[int, int]:
    return row << _SLOT_BITS, (row + 1 << _SLOT_BITS) - 1
