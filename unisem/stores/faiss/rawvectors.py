"""`RawVectors`: the vectors as they were given, in the catalogue's database.

To take the vectors of a removed record off the disk means to find and write a page for each of
them, which is most of what a removal would cost. So their rows are only noted in ``dropped`` at
first. They go when the store is compacted, and, so that a file whose records are replaced for ever
does not grow for ever, a few with each removal once there are many.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unisem.records import Modality, Vector
from unisem.stores.vectors import MOST_VECTORS

_SLOT_BITS = MOST_VECTORS.bit_length()  # 12: a slot, and the modality
_PAGE = 4096
_MOST_DROPPED = 20_000  # records whose vectors may wait to be taken off the disk


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
    """The tables ``vectors``, little-endian float32 by vector number, and ``dropped``.

    Args:
        database: The catalogue's connection, whose transactions cover what happens here.
    """

    SCHEMA = (
        "CREATE TABLE IF NOT EXISTS vectors (vector_id INTEGER PRIMARY KEY, vector BLOB)",
        "CREATE TABLE IF NOT EXISTS dropped (row INTEGER PRIMARY KEY)",
    )

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def add(self, vector_ids: NDArray[np.int64], vectors: Vector) -> None:
        """Insert ``(n, d)`` float32 rows."""
        blobs = (row.tobytes() for row in vectors.astype("<f4", copy=False))
        self._db.executemany(
            "INSERT INTO vectors VALUES (?, ?)", zip(vector_ids.tolist(), blobs, strict=True)
        )

    def drop(self, rows: Sequence[int]) -> None:
        """Drop all vectors of records; they leave the disk later."""
        self._db.executemany("INSERT INTO dropped VALUES (?)", ((row,) for row in rows))
        (waiting,) = self._db.execute("SELECT count(*) FROM dropped").fetchone()
        if waiting > _MOST_DROPPED:
            self.sweep(min(waiting - _MOST_DROPPED, 2 * len(rows)))

    def sweep(self, most: int = -1) -> None:
        """Take dropped vectors off the disk.

        Args:
            most: Of so many records; of all of them by default.
        """
        found = self._db.execute("SELECT row FROM dropped ORDER BY row LIMIT ?", (most,))
        rows = [row for (row,) in found]
        self._db.executemany(
            "DELETE FROM vectors WHERE vector_id BETWEEN ? AND ?", map(_numbers_of, rows)
        )
        self._db.executemany("DELETE FROM dropped WHERE row = ?", ((row,) for row in rows))

    def after(self, last: int, dimension: int) -> tuple[NDArray[np.int64], Vector]:
        """Numbers, ascending, and ``(n, d)`` float32 vectors with a larger number than ``last``."""
        dropped = dropped_rows(self._db)
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
            listed, blobs = zip(*page, strict=True)
            numbers = np.array(listed, np.int64)
            block = np.frombuffer(b"".join(blobs), "<f4").reshape(len(page), dimension)
            kept = ~np.isin(VectorId.rows(numbers), dropped)
            end = done + int(kept.sum())
            vector_ids[done:end] = numbers[kept]
            vectors[done:end] = block[kept]
            done = end
        return vector_ids[:done], vectors[:done]

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


def dropped_rows(database: sqlite3.Connection) -> NDArray[np.int64]:
    """Rows whose vectors are still on the disk though their records are gone, ascending."""
    if not database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'dropped'").fetchone():
        return np.empty(0, np.int64)  # of a format before, which a check may look at
    found = database.execute("SELECT row FROM dropped ORDER BY row")
    return np.fromiter((row for (row,) in found), np.int64)


def _numbers_of(row: int) -> tuple[int, int]:
    return row << _SLOT_BITS, (row + 1 << _SLOT_BITS) - 1
