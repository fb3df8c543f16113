"""`Upgrade`: one numbered step from a format of the catalogue to the next.

A catalogue of an older format is upgraded by the process that opens it, which must be the only
writer:

1. The writer's lock is taken.
2. The catalogue is copied to ``catalog.format-N.sqlite`` by SQLite's backup, whole and fsynced.
3. ``BEGIN IMMEDIATE``; every step from N on, in order; checksums of what is another row then; the
   new format's number.
4. ``COMMIT``: the point at which the catalogue has the new format. A crash before it leaves the
   old one.

To change the format: raise `FORMAT`, change the schema in ``catalog.py``, append an `Upgrade` to
`UPGRADES`. A step is plain SQL that holds however old the process's other code is, so it must not
call functions that may change later.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unisem.common.atomic_files import publish
from unisem.errors import CorruptStoreError, StoreError, StoreLockedError
from unisem.stores.faiss import checksums, graph_schema
from unisem.stores.faiss.writerlock import WriterLock

FORMAT = 8
"""The format that this version reads and writes."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """How a catalogue of format ``number - 1`` becomes one of format ``number``.

    Attributes:
        number: The format after it.
        summary: What changes, as a clause.
        apply: Does it, inside a transaction that it must neither commit nor roll back (and
            ``executescript`` commits).
        keeps_rows: Whether all rows of records and vectors stay as they are, with their checksums.
        keeps_graph: Whether those of the graph do.
    """

    number: int
    summary: str
    apply: Callable[[sqlite3.Connection], None]
    keeps_rows: bool = False
    keeps_graph: bool = True


def _let_vectors_wait(database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE dropped (row INTEGER PRIMARY KEY)")


def _name_epochs_and_add_checksums(database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE epochs (first INTEGER PRIMARY KEY, epoch TEXT NOT NULL)")
    database.execute("INSERT INTO epochs VALUES (0, lower(hex(randomblob(16))))")
    for table in ("records", "vectors"):
        database.execute(f"ALTER TABLE {table} ADD COLUMN checksum INTEGER")


def _let_records_wait(database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE unerased (row INTEGER PRIMARY KEY)")


def _make_room_for_a_graph(database: sqlite3.Connection) -> None:
    for statement in graph_schema.TABLES:
        database.execute(statement)


def _add_checksums_to_the_graph(database: sqlite3.Connection) -> None:
    for table, column in (
        *((table, "checksum") for table in ("entities", "entity_vectors", "relations")),
        *(("mentions", column) for column in ("linked", "checksum")),
    ):
        columns = [line[1] for line in database.execute(f"PRAGMA table_info({table})")]
        if column not in columns:  # else the step before has just made the table
            database.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER")
    database.execute("UPDATE mentions SET linked = 0")


def _find_by_picture(database: sqlite3.Connection) -> None:
    database.execute("DROP INDEX IF EXISTS records_by_picture")
    database.execute(
        "CREATE INDEX records_by_picture ON records"
        ' (substr(image, instr(image, \'"sha256":"\') + 10, 16))'
        " WHERE image IS NOT NULL"
    )


def _bound_image_vectors(database: sqlite3.Connection) -> None:
    """Make room for fused vectors, whose numbers a record's last 256 of pictures had.

    A record that has all numbers of pictures and some behind them may have more pictures' vectors
    or fused ones there: the catalogue does not say which, and a picture's vector that passes for a
    fused one would be found as what it is not. Either is left out, stays in the copy, and is told.
    """
    most = 1792
    first, last = most << 1, (1 << 12) - 1  # of numbers within a record, of which pictures' are odd
    wide = database.execute(
        "SELECT id, row FROM records"
        " WHERE EXISTS (SELECT 1 FROM vectors WHERE vector_id = row << 12 | ?)"
        " AND EXISTS (SELECT 1 FROM vectors"
        " WHERE vector_id BETWEEN row << 12 | ? AND row << 12 | ? AND vector_id & 1)",
        (first - 1, first, last),  # without its last but 256, they are fused ones
    ).fetchall()
    if not wide:
        return
    database.executemany(
        "DELETE FROM vectors WHERE vector_id BETWEEN ? AND ? AND vector_id & 1",
        ((row << 12 | first, row << 12 | last) for _, row in wide),
    )
    # An index that has them is of another past, and is built anew.
    database.execute("DELETE FROM epochs")
    database.execute("INSERT INTO epochs VALUES (0, lower(hex(randomblob(16))))")
    _log.warning(
        "a record may have %d vectors of pictures; of %d that had more, or so many and fused ones "
        "as well, such as %r, the others are in the copy of the catalogue alone: add those records "
        "again for their fused vectors",
        most,
        len(wide),
        wide[0][0],
    )


UPGRADES: tuple[Upgrade, ...] = (
    Upgrade(2, "vectors of removed records leave the disk later", _let_vectors_wait),
    Upgrade(
        3, "epochs name a past; records and vectors have checksums", _name_epochs_and_add_checksums
    ),
    Upgrade(4, "removed records are erased later", _let_records_wait, keeps_rows=True),
    Upgrade(
        5,
        "entities, relations and mentions are kept beside the records",
        _make_room_for_a_graph,
        keeps_rows=True,
    ),
    Upgrade(
        6,
        "what a graph says has checksums, and mentions say whether linking found them",
        _add_checksums_to_the_graph,
        keeps_rows=True,
        keeps_graph=False,
    ),
    Upgrade(7, "records are found by their pictures", _find_by_picture, keeps_rows=True),
    Upgrade(
        8,
        "numbers of fused vectors are no picture's any more",
        _bound_image_vectors,
        keeps_rows=True,
    ),
)
"""Every step there is, ascending, without gaps."""


def bring_up_to_date(database: sqlite3.Connection, path: Path | None) -> None:
    """Upgrade a catalogue to `FORMAT`, or say why not; nothing happens if it has that.

    Args:
        database: Its connection, outside any transaction.
        path: Its file, ``None`` in memory.

    Raises:
        CorruptStoreError: Its format is newer, unknown, or too old.
        StoreLockedError: Somebody is writing to it.
        StoreError: The disk refused; the catalogue is as it was.
    """
    name = str(path or "in-memory catalogue")
    if not _steps_from(_format_of(database), name):
        return
    with _only_writer(path):
        stored = _format_of(database)  # another process may have been quicker
        steps = _steps_from(stored, name)
        try:
            if steps and path is not None:
                copy_database(database, path.with_name(f"catalog.format-{stored}.sqlite"))
            _apply(database, steps)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"{name} could not be upgraded to format {FORMAT} and is as it was ({error})"
            ) from error


def _format_of(database: sqlite3.Connection) -> Any:
    found = database.execute("SELECT value FROM facts WHERE name = 'format'").fetchone()
    return None if found is None else found[0]


def _steps_from(stored: Any, name: str) -> list[Upgrade]:
    if not isinstance(stored, int) or stored > FORMAT:
        raise CorruptStoreError(
            f"{name} has format {stored}; this version of unisem reads format {FORMAT}. "
            "Upgrade unisem, or export the space with the version that wrote it"
        )
    steps = [upgrade for upgrade in UPGRADES if upgrade.number > stored]
    if [step.number for step in steps] != list(range(stored + 1, FORMAT + 1)):
        raise CorruptStoreError(
            f"{name} has format {stored}, from which this version of unisem knows no way to "
            f"format {FORMAT}; export the space with the version that wrote it"
        )
    return steps


def _apply(database: sqlite3.Connection, steps: list[Upgrade]) -> None:
    if not steps:
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        for step in steps:
            step.apply(database)
            if not database.in_transaction:
                raise AssertionError(f"upgrade {step.number} ended the transaction")
        if not all(step.keeps_rows for step in steps):
            checksums.renew(database)
        if not all(step.keeps_graph for step in steps):
            checksums.renew_graph(database)
        database.execute("UPDATE facts SET value = ? WHERE name = 'format'", (FORMAT,))
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def copy_database(database: sqlite3.Connection, copy: Path) -> None:
    """Write one committed state of a catalogue to a file, whole and safe from a power cut."""
    temporary = copy.with_name(f".{copy.name}.tmp")
    temporary.unlink(missing_ok=True)
    target = sqlite3.connect(temporary)
    try:
        database.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # the copy is one file
    finally:
        target.close()
    publish(temporary, copy)


@contextmanager
def _only_writer(path: Path | None) -> Iterator[None]:
    if path is None:
        yield
        return
    lock = WriterLock(path.parent)
    try:
        lock.acquire()
    except StoreLockedError as error:
        raise StoreLockedError(
            f"{path} has an older format and must be upgraded; {error}"
        ) from None
    try:
        yield
    finally:
        lock.release()
