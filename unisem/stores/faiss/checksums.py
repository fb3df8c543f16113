"""Checksums of what a catalogue holds: XXH3, for damage and not for malice.

A record's is over all its columns and its row, a vector's over its bytes and its number, so that
neither passes for another's. 63 bits, as SQLite's integers have a sign.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import xxhash

RECORD_PARTS = "id, source_id, modality, text, image, metadata, links, payload"
"""The columns that a record's checksum covers, in order."""


def of_record(row: int, parts: Sequence[str | None]) -> int:
    """The checksum of a record from its columns.

    Raises:
        TypeError: A column is no text.
    """
    joined = "\x1f".join(["\0" if part is None else part for part in parts])
    return xxhash.xxh3_64_intdigest(joined.encode(), row) >> 1


def of_stored_record(row: int, parts: Sequence[bytes | None]) -> int:
    """As `of_record`, from the columns' bytes as they lie in the file, which may be no text."""
    joined = b"\x1f".join([b"\0" if part is None else part for part in parts])
    return xxhash.xxh3_64_intdigest(joined, row) >> 1


def of_vector(number: int, blob: bytes | memoryview) -> int:
    """The checksum of a vector from its bytes."""
    return xxhash.xxh3_64_intdigest(blob, number) >> 1


def renew(database: sqlite3.Connection) -> None:
    """Compute all checksums of a catalogue anew, inside the caller's transaction."""
    database.create_function("checksum_of_record", -1, lambda row, *parts: of_record(row, parts))
    database.create_function("checksum_of_vector", 2, of_vector)
    database.execute(f"UPDATE records SET checksum = checksum_of_record(row, {RECORD_PARTS})")  # noqa: S608
    database.execute("UPDATE vectors SET checksum = checksum_of_vector(vector_id, vector)")


def are_kept(database: sqlite3.Connection) -> bool:
    """Whether a catalogue has any; a check may look at a format before."""
    found = database.execute("SELECT 1 FROM pragma_table_info('vectors') WHERE name = 'checksum'")
    return found.fetchone() is not None
