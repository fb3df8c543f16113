"""Looking at a store's files without opening it as a store: nothing is upgraded, caught up, locked.

SQLite may put an empty ``-wal`` and a ``-shm`` beside the catalogue meanwhile, as for any reader.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from unisem.common.filelock import FileLock
from unisem.common.forks import undisturbed
from unisem.common.owned import check_owned
from unisem.errors import CorruptStoreError, StoreError
from unisem.stores.faiss.connection import Connection, connect
from unisem.stores.faiss.database import LONGEST
from unisem.stores.faiss.schema import check_schema


@contextmanager
def read_only(directory: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a store's catalogue that cannot write; one transaction throughout.

    Raises:
        StoreError: There is no catalogue.
        CorruptStoreError: It is no SQLite database, or links are in place of files.
    """
    check_owned(directory)
    path = directory / "catalog.sqlite"
    if not path.is_file():
        raise StoreError(f"there is no catalogue at {path}")
    database = _connected(path)
    try:
        yield database
    finally:
        database.close()


def is_untouched(directory: Path) -> bool:
    """Whether there is no catalogue, or one that nothing was ever written to."""
    if not (directory / "catalog.sqlite").exists():
        return True
    try:
        with undisturbed(), read_only(directory) as database:
            (count,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            found = (
                count
                and database.execute(
                    "SELECT value FROM facts WHERE name = 'transaction'"
                ).fetchone()
            )
            return not count or found == (0,)
    except (StoreError, sqlite3.Error):
        return False


def _connected(path: Path) -> Connection:
    # On media that cannot be written a WAL database must be declared immutable to be read at all.
    for how in ("read", "frozen"):
        database = connect(path, how)
        try:
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("BEGIN")
            check_schema(database, str(path), word_for_word=False)
            return database
        except CorruptStoreError:
            database.close()
            raise
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # of a message with nonsense
            database.close()
            # One that no call of SQLite gave is of a text that is not in Unicode.
            is_text = not hasattr(error, "sqlite_errorcode")
            if is_text or not isinstance(error, sqlite3.OperationalError):
                raise CorruptStoreError(f"{path} is no SQLite database ({error})") from error
            reason: sqlite3.Error = error
    raise StoreError(f"{path} cannot be opened ({reason})")


def writer_of(directory: Path) -> str | None:
    """Who is writing to a store, ``None`` if nobody is; does not keep a writer from starting."""
    path = directory / "writer.lock"
    if not path.exists() or not _is_locked(path):
        return None
    with suppress(OSError):
        return (directory / "writer.json").read_text(encoding="utf-8")
    return "another process"


def _is_locked(path: Path) -> bool:
    try:
        with FileLock(path):
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False  # where nobody can lock, nobody writes
