"""`Salvage`: what can still be read of a damaged catalogue, record by record.

SQLite reads until it meets a damaged page and then gives up. Here every row is a read of its own
where reading in order fails, so only the rows on damaged pages are lost.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from unisem.errors import UniSemError
from unisem.images.library import ImageLibrary
from unisem.records import EmbeddedRecord, Record, Vector, VectorKind
from unisem.stores.faiss import checksums
from unisem.stores.faiss.database import DAMAGED
from unisem.stores.faiss.graph_salvage import GraphSalvage
from unisem.stores.faiss.rawvectors import RawVectors
from unisem.stores.faiss.unerased import unerased_rows
from unisem.stores.vectors import are_unit

_READ = f"SELECT row, {{checksum}}, {checksums.RECORD_PARTS} FROM records"  # noqa: S608
_PATIENCE = 20_000  # rows without any that can be read, after which the rest is given up
_LAST_ROW = (
    "SELECT seq FROM sqlite_sequence WHERE name = 'records'",
    "SELECT max(row) FROM records",
    "SELECT max(vector_id) >> 12 FROM vectors",
)
_DIMENSION = (
    "SELECT value FROM facts WHERE name = 'dimension'",
    "SELECT length(vector) / 4 FROM vectors",
)


_FAILURES = (sqlite3.Error, ValueError, TypeError, OverflowError)
"""How reading from a damaged file fails; SQLite's own messages may not be Unicode then."""


class Salvage:
    """One pass over a catalogue that may be damaged; never writes.

    Args:
        database: A connection to it.
        image_library: Where the records' pictures lie.

    Attributes:
        read: Records that could be read so far.
        without_vectors: How many of them have lost some or all of their vectors; they come with
            none.
        dimension: Length of a vector, ``None`` if that cannot be found out.
        lost: Rows that could not be read so far; rows on a damaged page that was never readable
            may count although they were deleted before.
        may_be_removed: Whether removed records that wait to be erased may be among those that were
            read, as the list of them cannot be read.
        graph: As much of its graph; ``None`` if it has none.
    """

    def __init__(self, database: sqlite3.Connection, image_library: ImageLibrary) -> None:
        self._db = database
        self._image_library = image_library
        self._are_checked = checksums.are_kept(database)
        self._raw = RawVectors(database, are_checked=self._are_checked)
        self._read = _READ.format(checksum="checksum" if self._are_checked else "NULL")
        self.dimension = self._first(_DIMENSION)
        self.read = self.without_vectors = self.lost = 0
        self.may_be_removed = False
        graph = GraphSalvage(database)
        self.graph = graph if graph.is_there else None

    def __iter__(self) -> Iterator[EmbeddedRecord]:
        """Yield what can be read, oldest first, with their vectors where those are whole."""
        seen: set[str] = set()
        hidden = self._unerased()
        for line in self._lines():
            if line[0] in hidden:
                continue
            record = self._record(line)
            if record is None or record.id in seen:
                self.lost += 1
                continue
            seen.add(record.id)
            self.read += 1
            vectors, whole = self._vectors(line[0])
            if record.image is None and not vectors.keys() <= {"text"}:
                vectors, whole = {}, False
            self.without_vectors += not whole
            yield EmbeddedRecord(record, vectors)

    def _unerased(self) -> set[int]:
        """Rows of removed records, as far as that can be read."""
        try:
            return set(unerased_rows(self._db).tolist())
        except _FAILURES:
            self.may_be_removed = True
            return set()

    def _lines(self) -> Iterator[tuple[Any, ...]]:
        last, end, patience = 0, self._last_row(), _PATIENCE
        while last < end and patience:
            with suppress(*_FAILURES):
                for line in self._db.execute(f"{self._read} WHERE row > ? ORDER BY row", (last,)):
                    if not last < line[0] <= end:
                        break  # a damaged page's number; what follows is not in order either
                    last, patience = line[0], _PATIENCE
                    yield line
                else:
                    return
            last += 1  # the next row lies on a damaged page: feel the way past it
            patience -= 1
            try:
                line = self._db.execute(f"{self._read} WHERE row = ?", (last,)).fetchone()
            except _FAILURES:
                self.lost += 1
                continue
            if line is not None:
                patience = _PATIENCE
                yield line

    def _last_row(self) -> int:
        return self._first(_LAST_ROW) or 0

    def _first(self, queries: Sequence[str]) -> int | None:
        """The answer of the first query that has one."""
        for query in queries:
            with suppress(*_FAILURES):  # try the next
                return int(self._db.execute(query).fetchone()[0])
        return None

    def _record(self, line: tuple[Any, ...]) -> Record | None:
        row, checksum, *parts = line
        record_id, source_id, _, text, image, metadata, links, payload = parts
        try:
            if self._are_checked and checksum != checksums.of_record(row, parts):
                return None
            return Record(
                id=record_id,
                text=text,
                image=None if image is None else self._image_library.from_json(image),
                metadata=json.loads(metadata),
                source_id=source_id,
                links=json.loads(links),
                payload=json.loads(payload),
            )
        except (UniSemError, *DAMAGED):
            return None

    def _vectors(self, row: int) -> tuple[dict[VectorKind, Vector], bool]:
        """A record's vectors if they are whole, and whether they are."""
        try:
            vectors = self._raw.of_row(row)
        except _FAILURES:
            return {}, False
        whole = bool(vectors) and all(
            rows.shape[-1] == self.dimension and are_unit(rows) for rows in vectors.values()
        )
        return (vectors, True) if whole else ({}, False)
