"""`Database`: a SQLite file with whole transactions, consistent reads, and errors that explain."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from unisem.errors import CorruptStoreError, StoreError
from unisem.stores.faiss.checkpointer import MOST_PAGES, Checkpointer, largest_log
from unisem.stores.faiss.connection import PATIENCE, Connection, connect
from unisem.stores.faiss.sql import define_functions
from unisem.stores.frozen import is_frozen

_CACHE_KIB = 32_768  # so that a large write reads each page once
LONGEST = 1 << 28  # bytes of one value; more than any text, and memory holds it
_PAGE_BYTES = 8192  # of new files: SQLite's 4096 would hold one vector of 512 numbers, half empty
_Refusal = (sqlite3.Error, UnicodeDecodeError, OverflowError)
_DAMAGE = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,  # JSON that is none, a table that is not there: statements are right
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_CONSTRAINT,
)
DAMAGED = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""How what was checked on its way in fails to be understood where the file is damaged."""
_OF_THE_SYSTEM = (
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
)


class Database:
    """One connection to a catalogue's file.

    Args:
        path: The file, or ``None`` for one in memory.
        durability: ``"full"`` fsyncs every commit, ``"relaxed"`` leaves that to the system.

    Raises:
        CorruptStoreError: The file is no catalogue.
        StoreError: The file cannot be opened.
    """

    def __init__(self, path: Path | None, *, durability: str) -> None:
        self._path = path
        self._name = str(path or "in-memory catalogue")
        self._checkpointer = None if path is None else Checkpointer(path)
        try:
            self._is_read_only = path is not None and not _can_write(path)
            self._db = _read_only(path) if path and self._is_read_only else connect(path)
            self._identity = _identity(path)
            try:
                self._configure("FULL" if durability == "full" else "NORMAL")
                self._prepare()
            except BaseException:
                self._db.close()
                raise
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if _is_of_the_system(error):
                raise StoreError(f"{self._name} cannot be opened: {error}") from error
            raise CorruptStoreError(
                f"{self._name} cannot be read as a catalogue ({error}); restore it from a copy. "
                "the vector index is derived from it and cannot replace it"
            ) from error

    def _prepare(self) -> None:
        """Make the tables, or bring them up to date; for the subclass."""

    def _configure(self, level: str) -> None:
        define_functions(self._db)
        self._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
        if not self._is_read_only:
            self._db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # before the file's first page
            self._use_log()
        self._db.execute(f"PRAGMA synchronous = {level}")
        self._db.execute(f"PRAGMA wal_autocheckpoint = {MOST_PAGES}")
        if self._path is not None:
            self._db.execute(f"PRAGMA journal_size_limit = {largest_log(self._path)}")
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.execute("PRAGMA trusted_schema = OFF")
        self._db.execute("PRAGMA secure_delete = ON")  # as some builds have it: copies copy pages
        self._db.execute("PRAGMA cell_size_check = ON")  # notices more kinds of damage

    def _use_log(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:  # while another process makes the file SQLite refuses, without waiting
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
            time.sleep(0.01)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One all-or-nothing write; reading inside sees one consistent state.

        Raises:
            StoreError: The disk refused; nothing of this was written.
            CorruptStoreError: The file is damaged.
        """
        before = self._db.total_changes
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self.check_in_place()
            self._db.execute("COMMIT")
        except BaseException as error:
            self._roll_back()
            if isinstance(error, _Refusal):
                raise self._explained(error, "nothing was written") from error
            raise
        if self._checkpointer is not None:
            self._checkpointer.committed(self._db.total_changes - before)

    @property
    def is_in_place(self) -> bool:
        """Whether the file that was opened still has its name."""
        return self._identity == _identity(self._path)

    def check_in_place(self) -> None:
        """Refuse to write to a file that nobody will find.

        Raises:
            StoreError: It was removed or replaced since it was opened.
        """
        if not self.is_in_place:
            raise StoreError(
                f"{self._name} was removed or replaced while it was open, and what is written now "
                "would be lost; close this space and open it again"
            )

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several reads of one committed state: the outermost snapshot's or transaction's.

        Raises:
            StoreError: The disk refused.
            CorruptStoreError: The file is damaged.
        """
        outermost = not self._db.in_transaction
        try:
            if outermost:
                self._db.execute("BEGIN DEFERRED")
            yield
        except _Refusal as error:
            raise self._explained(error, "reading failed") from error
        finally:
            if outermost:
                self._roll_back()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A single statement that reads, which needs no transaction to see one state.

        Raises:
            StoreError: The disk refused.
            CorruptStoreError: The file is damaged.
        """
        try:
            yield
        except _Refusal as error:
            raise self._explained(error, "reading failed") from error

    def _roll_back(self) -> None:
        if (
            self._db.is_ours and self._db.in_transaction
        ):  # SQLite has done so itself after some errors
            with suppress(sqlite3.Error):  # there is one already, and it says more
                self._db.execute("ROLLBACK")

    def _explained(self, error: Exception, what: str) -> StoreError:
        message = f"{self._name}: {what} ({error})"
        # An error that no call of SQLite gave is of a text, or its own message, not in Unicode.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in _DAMAGE:
            return CorruptStoreError(f"{message}; restore it from a copy")
        return StoreError(message)

    def fact(self, name: str) -> Any:
        """A single named value, ``None`` if unset."""
        with self.reading():
            statement = "SELECT value FROM facts WHERE name = ?"
            row = self._db.execute(statement, (name,)).fetchone()
        return None if row is None else row[0]

    def set_fact(self, name: str, value: Any) -> None:
        """Set a named value, inside the caller's transaction."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    @property
    def version(self) -> int:
        """A number that changes when another connection has committed; costs microseconds."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def _checkpoint(self) -> bool:
        """Move the log into the file; ``False`` if a reader is in the way."""
        if self._checkpointer is not None:
            self._checkpointer.wait()
        busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    @contextmanager
    def _decoding(self, what: str) -> Iterator[None]:
        """What is stored was checked before; if it cannot be read now, the file is damaged."""
        try:
            yield
        except DAMAGED as error:
            raise CorruptStoreError(
                f"{self._name}: {what} is damaged ({error}); restore it from a copy"
            ) from error

    def close(self) -> None:
        """Close the file; uncommitted work is rolled back by SQLite."""
        if self._checkpointer is not None:
            self._checkpointer.wait()
        self._db.close()


def _can_write(path: Path) -> bool:
    if is_frozen(path.parent):
        return False
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


def _read_only(path: Path) -> Connection:
    """Open a file beside which nothing can be written, as SQLite's log would have to be.

    Raises:
        StoreError: It was not closed, and its log cannot be read from here.
    """
    database = connect(path, "read")
    try:
        database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        return database
    except sqlite3.OperationalError as error:
        database.close()
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            raise StoreError(
                f"{path} cannot be read without writing beside it ({error}): it was not closed. "
                "Open and close it once with the right to write"
            ) from error
    return connect(path, "frozen")


def _identity(path: Path | None) -> tuple[int, int] | None:
    try:
        found = None if path is None else path.stat()
    except OSError:
        return (0, 0)
    return None if found is None else (found.st_dev, found.st_ino)


def _is_of_the_system(error: Exception) -> bool:
    """Whether the disk or another process is at fault rather than the file's contents."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _OF_THE_SYSTEM
