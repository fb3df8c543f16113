"""`RecordRows`: the records as rows of the catalogue's database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisem.common.json_text import from_json, to_json
from unisem.filters import SOURCE, look_up
from unisem.images.library import ImageLibrary
from unisem.records import Record
from unisem.stores.faiss import checksums
from unisem.stores.faiss.bulk import insert
from unisem.stores.faiss.column_file import Line
from unisem.stores.faiss.sql import PICTURE, compile_selection, is_large
from unisem.stores.faiss.unerased import LIVING
from unisem.stores.faiss.words import Entry, as_bytes
from unisem.stores.selection import Selection

_COLUMNS = f"row, checksum, {checksums.RECORD_PARTS}"
_PARTS = checksums.RECORD_PARTS.split(", ")
_AS_BYTES = ", ".join(map(as_bytes, _PARTS))
_SEARCHED = _PARTS.index("text"), _PARTS.index("metadata")


class RecordRows:
    """The table ``records``: all of a record but its vectors.

    What is stored was checked on its way in; if it cannot be understood on its way out, the file is
    damaged, and the caller says so of any ValueError, TypeError, KeyError or AttributeError.

    Args:
        database: The catalogue's connection, whose transactions cover what happens here.
        image_library: Where the records' pictures lie.
    """

    SCHEMA = (
        """CREATE TABLE IF NOT EXISTS records (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    source_id TEXT,
    modality TEXT NOT NULL,
    text TEXT,
    image TEXT,      -- JSON: its place, see unisem.images.library; sha256, mime_type, width, height
    metadata TEXT NOT NULL,
    links TEXT NOT NULL,
    payload TEXT NOT NULL,
    checksum INTEGER -- see unisem.stores.faiss.checksums
)""",
        "CREATE INDEX IF NOT EXISTS records_by_source"
        " ON records (source_id) WHERE source_id IS NOT NULL",
        f"CREATE INDEX IF NOT EXISTS records_by_picture ON records ({PICTURE})"
        " WHERE image IS NOT NULL",
    )

    def __init__(self, database: sqlite3.Connection, image_library: ImageLibrary) -> None:
        self._db = database
        self._image_library = image_library

    def first_free(self) -> int:
        """The number after every one that was ever used (SQLite counts, by ``AUTOINCREMENT``)."""
        used = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'records'").fetchone()
        return 1 if used is None else int(used[0]) + 1

    def add(self, records: Sequence[Record], first: int) -> None:
        """Insert records as rows from ``first`` on."""
        lines = list(map(self._line, range(first, first + len(records)), records))
        insert(self._db, f"records ({_COLUMNS})", lines)

    def _line(self, row: int, record: Record) -> tuple[Any, ...]:
        parts = (
            record.id,
            record.source_id,
            record.modality,
            record.text,
            None if record.image is None else self._image_library.to_json(record.image),
            to_json(record.metadata),
            to_json(record.links),
            to_json(record.payload),
        )
        return row, checksums.of_record(row, parts), *parts

    def erase(self, rows: Sequence[int]) -> None:
        """Delete rows."""
        self._db.executemany("DELETE FROM records WHERE row = ?", ((row,) for row in rows))

    def index_anew(self) -> None:
        """Make the indexes of ids and sources agree with the rows, where one is damaged."""
        self._db.execute("REINDEX records")

    def entries(self, rows: Sequence[int]) -> Iterator[Entry]:
        """What the word index has of these rows, each if it is as it was stored.

        Raises:
            ValueError: One does not agree with its checksum.
        """
        found = self._db.execute(
            f"SELECT row, checksum, {_AS_BYTES} FROM records"  # noqa: S608 - a constant
            " WHERE row IN (SELECT value FROM json_each(?))",
            (json.dumps(list(rows)),),
        )
        for row, checksum, *parts in found:
            if checksum != checksums.of_stored_record(row, parts):
                raise ValueError(f"row {row} does not agree with its checksum")
            text, metadata = (parts[place] for place in _SEARCHED)
            yield row, None if text is None else text.decode(), from_json(metadata.decode())

    def named(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers of records with these ids, removed ones that wait to be erased, too."""
        found = self._db.execute(
            "SELECT row FROM records WHERE id IN (SELECT value FROM json_each(?)) ORDER BY row",
            (json.dumps(list(ids)),),
        )
        return np.fromiter((row for (row,) in found), np.int64)

    def changed(self, records: Sequence[Record]) -> list[str]:
        """The ids of those that are stored with another text or picture."""
        by_id = {record.id: record for record in records}
        found = self._db.execute(
            f"SELECT id, {as_bytes('text')}, {as_bytes('image')} FROM records"  # noqa: S608
            " WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(by_id)),),
        )
        return [name for name, *parts in found if not _shows(by_id[name], *parts)]

    def chosen(self, selection: Selection) -> NDArray[np.int64]:
        """Row numbers of the selected records, ascending."""
        condition, parameters = compile_selection(selection)
        found = self._db.execute(
            f"SELECT row FROM records WHERE {condition} ORDER BY row",  # noqa: S608 - bound
            parameters,
        )
        return np.fromiter((row for (row,) in found), np.int64)

    def of(self, rows: NDArray[np.int64]) -> dict[int, Record]:
        """The records of these rows, by row; without those that are no longer there."""
        found = self._db.execute(
            f"SELECT {_COLUMNS} FROM records"  # noqa: S608 - constants
            f" WHERE row IN (SELECT value FROM json_each(?)) AND {LIVING}",
            (json.dumps(rows.tolist()),),
        )
        return {line[0]: self._record(line) for line in found}

    def in_order_of_ids(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The same rows in the order of their records' ids, without those that are gone."""
        found = self._db.execute(
            "SELECT row FROM records WHERE row IN (SELECT value FROM json_each(?)) ORDER BY id",
            (json.dumps(rows.tolist()),),
        )
        return np.fromiter((row for (row,) in found), np.int64)

    def hold(self, selection: Selection) -> None:
        """Copy the selected records aside, as they are now, for `held`; once a connection."""
        condition, parameters = compile_selection(selection)
        self._db.execute(
            f"CREATE TEMP TABLE held AS SELECT {_COLUMNS} FROM records"  # noqa: S608 - bound
            f" WHERE {condition} ORDER BY row",
            parameters,
        )

    def held(self, after: int, most: int) -> list[Record]:
        """The records that were copied, from the ``after``-th on."""
        lines = self._db.execute(
            "SELECT * FROM held WHERE rowid > ? ORDER BY rowid LIMIT ?", (after, most)
        ).fetchall()
        return [self._record(line) for line in lines]

    def values(
        self, field: str | None, after: int, last: int
    ) -> tuple[NDArray[np.int64], list[Any]]:
        """A metadata field's values of rows in ``(after, last]`` that have it, by ascending row.

        Args:
            field: The field, or ``SOURCE``; ``None`` for the records' modality.
            after: The row before the first.
            last: The last row.
        """
        if field is None:
            found = self._db.execute(
                "SELECT row, 'text', modality FROM records"  # noqa: S608 - a constant
                f" WHERE row > ? AND row <= ? AND {LIVING} ORDER BY row",
                (after, last),
            )
        elif field == SOURCE:
            found = self._db.execute(
                "SELECT row, 'text', source_id FROM records"  # noqa: S608 - a constant
                f" WHERE source_id IS NOT NULL AND row > ? AND row <= ? AND {LIVING} ORDER BY row",
                (after, last),
            )
        elif "." in field:
            found = self._db.execute(
                "SELECT row, metadata FROM records"  # noqa: S608 - a constant
                f" WHERE row > ? AND row <= ? AND {LIVING} ORDER BY row",
                (after, last),
            )
            parts = [(row, *look_up(from_json(text), field)) for row, text in found]
            there = [(row, value) for row, present, value in parts if present]
            return np.array([row for row, _ in there], np.int64), [value for _, value in there]
        else:
            found = self._db.execute(
                f"SELECT row, f.type, iif({is_large('f')}, metadata, f.value)"  # noqa: S608
                " FROM records, json_each(metadata) AS f"
                f" WHERE row > ? AND row <= ? AND {LIVING} AND f.key = ? ORDER BY row",
                (after, last, field),
            )
        lines = found.fetchall()
        rows = np.fromiter((line[0] for line in lines), np.int64, len(lines))
        return rows, [_decode(name, value, field) for _, name, value in lines]

    def lines(self) -> Iterator[Line]:
        """What filters look at, of all records, by ascending row."""
        found = self._db.execute(
            f"SELECT row, modality, source_id, metadata FROM records WHERE {LIVING} ORDER BY row"  # noqa: S608
        )
        for row, modality, source_id, metadata in found:
            yield row, modality, source_id, from_json(metadata)

    def blobs(self) -> set[str]:
        """The places inside ``blobs/`` that any record refers to."""
        found = self._db.execute(
            "SELECT DISTINCT image ->> '$.blob' FROM records"  # noqa: S608 - a constant
            f" WHERE image ->> '$.blob' IS NOT NULL AND {LIVING}"
        )
        return {place for (place,) in found}

    def __len__(self) -> int:
        counted = "SELECT (SELECT count(*) FROM records) - (SELECT count(*) FROM unerased)"
        return int(self._db.execute(counted).fetchone()[0])

    def _record(self, line: tuple[Any, ...]) -> Record:
        row, checksum, *parts = line
        if checksum != checksums.of_record(row, parts):
            raise ValueError(f"row {row} does not agree with its checksum")
        record_id, source_id, _, text, image, metadata, links, payload = parts
        return Record.restored(
            id=record_id,
            text=text,
            image=None if image is None else self._image_library.from_json(image),
            metadata=from_json(metadata),
            source_id=source_id,
            links=from_json(links),
            payload=from_json(payload),
        )


def _shows(record: Record, text: bytes | None, image: bytes | None) -> bool:
    """Whether a record has the text, and the picture by its digest, that columns say."""
    if (None if record.text is None else record.text.encode()) != text:
        return False
    if record.image is None or image is None:
        return record.image is None and image is None
    return record.image.sha256 is not None and record.image.sha256.encode() in image


def _decode(name: str, value: Any, field: str | None) -> Any:
    """A JSON value from its type and SQLite's rendering of it; of a large integer all metadata."""
    match name:
        case "integer" if isinstance(value, str):
            assert field is not None  # a record's modality is no integer
            return from_json(value)[field]
        case "true" | "false":
            return name == "true"
        case "array" | "object":
            return json.loads(value)
    return value
