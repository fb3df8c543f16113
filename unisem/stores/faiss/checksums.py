"""Checksums of what a catalogue holds: XXH3, for damage and not for malice.

A record's is over all its columns and its row, a vector's over its bytes and its number, so that
neither passes for another's. What a graph says is summed up by what it says, ids and not numbers,
so that a relation is damaged with the id of one of its ends. 63 bits, as SQLite's integers have a
sign.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import xxhash

RECORD_PARTS = "id, source_id, modality, text, image, metadata, links, payload"
"""The columns that a record's checksum covers, in order."""
ENTITY_PARTS = "id, name, aliases, kind, properties"
"""Those that an entity's covers."""
RELATION_PARTS = "s.id, kinds.type, o.id, weight, record, relations.properties"
"""What a relation's covers: the subject's id, the type, the object's id, and its own columns."""
MENTION_PARTS = "record, entities.id, weight, linked"
"""What a mention's covers."""


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


def of_parts(*parts: str | float | None) -> int:
    """The checksum of a row of a graph from what it says."""
    joined = "\x1f".join(["\0" if part is None else str(part) for part in parts])
    return xxhash.xxh3_64_intdigest(joined.encode()) >> 1


def renew(database: sqlite3.Connection) -> None:
    """Compute all checksums of a catalogue anew, inside the caller's transaction."""
    database.create_function("checksum_of_record", -1, lambda row, *parts: of_record(row, parts))
    database.create_function("checksum_of_vector", 2, of_vector)
    database.execute(f"UPDATE records SET checksum = checksum_of_record(row, {RECORD_PARTS})")  # noqa: S608
    database.execute("UPDATE vectors SET checksum = checksum_of_vector(vector_id, vector)")


def renew_graph(database: sqlite3.Connection) -> None:
    """As `renew`, of the rows of the graph."""
    database.create_function("checksum_of_vector", 2, of_vector)
    database.create_function("checksum_of_parts", -1, of_parts)
    database.execute(f"UPDATE entities SET checksum = checksum_of_parts({ENTITY_PARTS})")  # noqa: S608
    database.execute("UPDATE entity_vectors SET checksum = checksum_of_vector(entity, vector)")
    database.execute(
        f"""UPDATE relations SET checksum = checksum_of_parts({RELATION_PARTS})
        FROM entities AS s, entities AS o, relation_types AS kinds
        WHERE s.number = subject AND o.number = object AND kinds.number = relations.type"""  # noqa: S608
    )
    database.execute(
        f"UPDATE mentions SET checksum = checksum_of_parts({MENTION_PARTS})"  # noqa: S608
        " FROM entities WHERE number = entity"
    )


def are_kept(database: sqlite3.Connection) -> bool:
    """Whether a catalogue has any; a check may look at a format before."""
    found = database.execute("SELECT 1 FROM pragma_table_info('vectors') WHERE name = 'checksum'")
    return found.fetchone() is not None
