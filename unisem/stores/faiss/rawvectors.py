"""`RawVectors`: the vectors as they were given, in the catalogue's database.

To take the vectors of a removed record off the disk means to find and write a page for each of
them, which is most of what a removal would cost. So their rows are only noted in ``dropped`` at
first. They go when the store is compacted, and, so that a file whose records are replaced for ever
does not grow for ever, a few with each removal once there are many.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from unisem.records import VECTOR_KINDS, Vector, VectorKind
from unisem.stores.faiss import checksums
from unisem.stores.faiss.bulk import insert
from unisem.stores.vectors import MOST_VECTORS

_SLOT_BITS = 12  # a slot, and the kind
_FUSED = MOST_VECTORS["image"] << 1 | 1  # what all numbers of fused vectors have among those bits
_FUSED_SLOT = MOST_VECTORS["image"]
_PAGE = 4096
READ = "SELECT vector_id, vector, checksum FROM vectors"
READ_UNCHECKED = "SELECT vector_id, vector, NULL FROM vectors"
_FEWEST_DROPPED = 256  # records whose vectors may wait in any case, beyond that as many as live
_MOST_DROPPED = 100_000  # records whose vectors may wait to be taken off the disk


class VectorId:
    """A vector's number: ``row << 12 | slot << 1 | is_image``, so it says whose and of what.

    Fused vectors have the last 256 of the 2,048 slots that pictures would have, so that numbers of
    texts and pictures are what they were before there were any. Numbers grow with their rows and
    are never used twice.
    """

    @staticmethod
    def make(row: int, slot: int, kind: VectorKind) -> int:
        """Number the ``slot``-th vector of that kind of a record."""
        if kind == "both":
            slot += _FUSED_SLOT
        return row << _SLOT_BITS | slot << 1 | (kind != "text")

    @staticmethod
    def rows(vector_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The record rows of vectors."""
        return vector_ids >> _SLOT_BITS

    @staticmethod
    def condition(kind: VectorKind) -> str:
        """What SQL holds for the numbers of a kind."""
        fused = f"vector_id & {_FUSED} = {_FUSED}"
        if kind == "both":
            return fused
        return f"vector_id & 1 = {int(kind == 'image')} AND NOT {fused}"

    @staticmethod
    def kinds(vector_ids: NDArray[np.int64]) -> NDArray[np.int8]:
        """What vectors were made of, by their codes: places in `VECTOR_KINDS`."""
        codes = (vector_ids & 1).astype(np.int8)
        codes += (vector_ids & _FUSED) == _FUSED
        return codes


class RawVectors:
    """The tables ``vectors``, little-endian float32 by vector number, and ``dropped``.

    Args:
        database: The catalogue's connection, whose transactions cover what happens here.
        are_checked: Whether the catalogue has checksums; those of a format before have none.
    """

    SCHEMA = (
        "CREATE TABLE IF NOT EXISTS vectors"
        " (vector_id INTEGER PRIMARY KEY, vector BLOB, checksum INTEGER)",
        "CREATE TABLE IF NOT EXISTS dropped (row INTEGER PRIMARY KEY)",
    )

    def __init__(self, database: sqlite3.Connection, *, are_checked: bool = True) -> None:
        self._db = database
        self._are_checked = are_checked
        self._read = READ if are_checked else READ_UNCHECKED
        self._room = 0  # so many rows may be dropped before somebody need look how many wait

    def add(self, vector_ids: NDArray[np.int64], vectors: Vector) -> None:
        """Insert ``(n, d)`` float32 rows."""
        numbers = vector_ids.tolist()
        data = np.ascontiguousarray(vectors, "<f4").data.cast("B")
        size = 4 * vectors.shape[1]
        blobs = [data[start : start + size] for start in range(0, len(data), size)]
        checked = map(checksums.of_vector, numbers, blobs)
        insert(self._db, "vectors", list(zip(numbers, blobs, checked, strict=True)))

    def drop(self, rows: Sequence[int]) -> None:
        """Drop all vectors of records; they leave the disk later."""
        self._db.executemany("INSERT INTO dropped VALUES (?)", ((row,) for row in rows))
        self._room -= 2 * len(rows)  # each is one more that waits and may be one fewer that lives
        if self._room < 0:
            self._make_room(2 * len(rows))

    def _make_room(self, at_once: int) -> None:
        (waiting,) = self._db.execute("SELECT count(*) FROM dropped").fetchone()
        most = _MOST_DROPPED
        if waiting <= most:
            counted = "SELECT (SELECT count(*) FROM records) - (SELECT count(*) FROM unerased)"
            (living,) = self._db.execute(counted).fetchone()
            most = min(most, max(_FEWEST_DROPPED, living))
        if waiting > most:
            self.sweep(min(waiting - most, at_once))
        self._room = most - waiting

    def sweep(self, most: int = -1) -> int:
        """Take dropped vectors off the disk.

        Args:
            most: Of so many records; of all of them by default.

        Returns:
            Of how many records.
        """
        found = self._db.execute("SELECT row FROM dropped ORDER BY row LIMIT ?", (most,))
        rows = [row for (row,) in found]
        self._db.executemany(
            "DELETE FROM vectors WHERE vector_id BETWEEN ? AND ?", map(_numbers_of, rows)
        )
        self._db.executemany("DELETE FROM dropped WHERE row = ?", ((row,) for row in rows))
        return len(rows)

    def clear(self) -> None:
        """Take all vectors off the disk, where no record is left."""
        for table in ("vectors", "dropped"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant

    def after(self, last: int, dimension: int) -> tuple[NDArray[np.int64], Vector]:
        """Numbers, ascending, and ``(n, d)`` float32 vectors with a larger number than ``last``.

        Raises:
            ValueError: A vector does not agree with its checksum, or is of another length, though
                its record is there.
        """
        dropped = dropped_rows(self._db)
        (count,) = self._db.execute(
            "SELECT count(*) FROM vectors WHERE vector_id > ?", (last,)
        ).fetchone()
        vector_ids = np.empty(count, np.int64)
        vectors = np.empty((count, dimension), np.float32)  # no memory until it is filled
        found = self._db.execute(f"{self._read} WHERE vector_id > ? ORDER BY vector_id", (last,))
        done = 0
        while page := found.fetchmany(_PAGE):
            numbers = np.fromiter((number for number, _, _ in page), np.int64, len(page))
            kept = ~np.isin(VectorId.rows(numbers), dropped)
            living = page if kept.all() else list(compress(page, kept))
            self._check(living)
            end = done + len(living)
            vector_ids[done:end] = numbers[kept]
            vectors[done:end] = np.frombuffer(
                b"".join([blob for _, blob, _ in living]), "<f4"
            ).reshape(len(living), dimension)
            done = end
        return vector_ids[:done], vectors[:done]

    def of_row(self, row: int) -> dict[VectorKind, Vector]:
        """A record's vectors as they were given: ``(d,)`` for one, ``(n, d)`` for several.

        Raises:
            ValueError: One does not agree with its checksum.
        """
        lines = self._db.execute(
            f"{self._read} WHERE vector_id BETWEEN ? AND ? ORDER BY vector_id", _numbers_of(row)
        ).fetchall()
        self._check(lines)
        parts: dict[VectorKind, list[Vector]] = {}
        codes = VectorId.kinds(np.array([number for number, _, _ in lines], np.int64)).tolist()
        for code, (_, blob, _) in zip(codes, lines, strict=True):
            vector = np.frombuffer(blob, "<f4").astype(np.float32)
            parts.setdefault(VECTOR_KINDS[code], []).append(vector)
        return {kind: rows[0] if len(rows) == 1 else np.stack(rows) for kind, rows in parts.items()}

    def _check(self, lines: Sequence[tuple[int, bytes, int | None]]) -> None:
        for number, blob, checksum in lines if self._are_checked else ():
            if checksum != checksums.of_vector(number, blob):
                raise ValueError(f"number {number} does not agree with its checksum")


def dropped_rows(database: sqlite3.Connection) -> NDArray[np.int64]:
    """Rows whose vectors are still on the disk though their records are gone, ascending."""
    if not database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'dropped'").fetchone():
        return np.empty(0, np.int64)  # of a format before, which a check may look at
    found = database.execute("SELECT row FROM dropped ORDER BY row")
    return np.fromiter((row for (row,) in found), np.int64)


def _numbers_of(row: int) -> tuple[int, int]:
    return row << _SLOT_BITS, (row + 1 << _SLOT_BITS) - 1
