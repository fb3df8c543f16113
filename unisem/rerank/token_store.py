"""`TokenStore`: tokens, made once and kept in a space, so that judging runs no tower."""

from __future__ import annotations

import logging
import os
import sqlite3
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from unisem.common.cache_file import opened_cache
from unisem.common.owned import is_own_file
from unisem.errors import RerankerError
from unisem.rerank.token_form import LARGEST, Kept, TokenForm

TEXT = "text:"
"""What the keys of texts begin with; a picture's is the SHA-256 of its bytes, and nothing else."""

_AT_ONCE = 500  # keys that are looked up by one statement
_CREATE = """CREATE TABLE IF NOT EXISTS tokens (
    image TEXT PRIMARY KEY, checksum INTEGER NOT NULL, numbers BLOB NOT NULL)"""
_LARGEST_ROW = 2 * LARGEST
_FIND = "SELECT image, checksum, numbers FROM tokens WHERE image IN "
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TokenFile:
    """One model's tokens in a space, as they lie on the disk.

    Attributes:
        path: The file.
        pictures: How many pictures' tokens it has; ``None`` if it is damaged.
        texts: How many texts' tokens.
        size: Its bytes.
        picture_bytes: What the tokens of a picture have on average; ``None`` if there are none.
        text_bytes: The same of a text.
        pool_factor: As of `Int8Form`; ``None`` for tokens of another form.
    """

    path: Path
    pictures: int | None
    texts: int
    size: int
    picture_bytes: float | None = None
    text_bytes: float | None = None
    pool_factor: int | None = None


class TokenStore(Generic[Kept]):
    """Keeps tokens in a file of the model's fingerprint, by the digest of what they were made of.

    A picture's key is the SHA-256 of its bytes, a text's `TEXT` and another digest. The file is
    derived: deleting it loses nothing but time. All tokens have a checksum; those that are damaged
    are as if they were not there, and so is a damaged file, which is made anew when tokens are next
    written. Processes and threads may share it.

    Args:
        directory: The space's.
        fingerprint: The model's, such as `CrossModalReranker.fingerprint`.
        form: How its tokens are written.

    Attributes:
        path: The file, ``tokens-….sqlite``.
    """

    def __init__(self, directory: Path, fingerprint: str, form: TokenForm[Kept]) -> None:
        self.path = token_path(directory, fingerprint)
        self.form = form

    def read(self, keys: Collection[str]) -> dict[str, Kept]:
        """Return the tokens of these keys, where they are stored and whole."""
        found: dict[str, Kept] = {}
        asked = sorted(set(keys))
        if not asked or not is_own_file(self.path):
            return found
        damaged = 0
        try:
            with self._opened() as connection:
                for start in range(0, len(asked), _AT_ONCE):
                    part = asked[start : start + _AT_ONCE]
                    marks = ",".join("?" * len(part))
                    rows = connection.execute(f"{_FIND}({marks})", part)
                    for key, checksum, numbers in rows:
                        whole = _is_whole(checksum, numbers)
                        tokens = self.form.unpacked(numbers) if whole else None
                        if tokens is None:
                            damaged += 1
                        else:
                            found[key] = tokens
        except sqlite3.Error as error:
            _LOGGER.warning("%s cannot be read, and is not used: %s", self.path, error)
        if damaged:
            _LOGGER.warning(
                "%s: tokens of %d pictures or texts are damaged, and are not used",
                self.path,
                damaged,
            )
        return found

    def write(self, packed: Mapping[str, bytes]) -> None:
        """Keep tokens by key, as `form` packs them, all of them or none.

        Raises:
            RerankerError: The disk refused, another process writes for long, or the file has
                tokens of another form.
        """
        rows = [(key, zlib.crc32(content), content) for key, content in packed.items()]

        def insert(connection: sqlite3.Connection) -> None:
            if _number(connection) != self.form.number:
                self._refuse_other_forms(connection)
                connection.execute(f"PRAGMA user_version = {self.form.number}")
            connection.executemany("INSERT OR REPLACE INTO tokens VALUES (?, ?, ?)", rows)

        self._change(insert)

    def keep_only(self, keys: Collection[str]) -> int:
        """Drop all other tokens, and give their place back; how many those were.

        Raises:
            RerankerError: As `write`.
        """
        gone: list[str] = []

        def drop(connection: sqlite3.Connection) -> None:
            stored = {str(key) for (key,) in connection.execute("SELECT image FROM tokens")}
            gone[:] = sorted(stored - set(keys))
            connection.executemany("DELETE FROM tokens WHERE image = ?", zip(gone, strict=True))

        self._change(drop)
        if gone:
            self._change(lambda connection: connection.execute("VACUUM"))
        return len(gone)

    def check_form(self) -> None:
        """Refuse a file that `write` would refuse for its form; one that cannot be read is none.

        Raises:
            RerankerError: It has tokens of another form.
        """
        if is_own_file(self.path):
            with (
                suppress(sqlite3.Error),
                opened_cache(self.path, largest=_LARGEST_ROW) as connection,
            ):
                self._refuse_other_forms(connection)

    def _refuse_other_forms(self, connection: sqlite3.Connection) -> None:
        found = _number(connection)
        some = "SELECT 1 FROM tokens LIMIT 1"
        if found != self.form.number and connection.execute(some).fetchone():
            raise RerankerError(
                f"{self.path} has token vectors that are pooled by {found}, not by "
                f"{self.form.number}; `unisem tokens --pool-factor` makes all anew"
            )

    def drop_other_forms(self) -> None:
        """Drop everything, if it has another form's number.

        Raises:
            RerankerError: As `write`.
        """
        if os.path.lexists(self.path) and form_number(self.path) != self.form.number:
            self.keep_only([])

    def _opened(self) -> AbstractContextManager[sqlite3.Connection]:
        return opened_cache(self.path, _CREATE, largest=_LARGEST_ROW)

    def _change(self, change: Callable[[sqlite3.Connection], object]) -> None:
        """Change the file by one transaction; a damaged one is put away before."""
        if os.path.lexists(self.path) and not is_own_file(self.path):
            raise RerankerError(f"{self.path} is a link or no file, and not written to; remove it")
        for is_last in (False, True):
            try:
                with self._opened() as connection, connection:
                    change(connection)
                return
            except (sqlite3.Error, OSError) as error:
                # What is malformed has this very class; what is locked or full a finer one.
                if is_last or type(error) is not sqlite3.DatabaseError:
                    raise RerankerError(
                        f"{self.path} cannot be written ({error}); if it is damaged, delete it"
                    ) from error
                _LOGGER.warning("%s is damaged (%s), and is made anew", self.path, error)
                for name in (self.path.name, f"{self.path.name}-journal"):
                    self.path.with_name(name).unlink(missing_ok=True)


def token_path(directory: Path, fingerprint: str) -> Path:
    """The file of a model's tokens in a space's directory."""
    return directory / f"tokens-{fingerprint[:16]}.sqlite"


def form_number(path: Path) -> int | None:
    """`TokenForm.number` of the tokens in a file; ``None`` if there are none to be read."""
    if not is_own_file(path):
        return None
    try:
        with opened_cache(path, largest=_LARGEST_ROW) as connection:
            return _number(connection)
    except sqlite3.Error:
        return None


def token_files(directory: Path) -> Sequence[TokenFile]:
    """Which models' tokens a space's directory has."""
    return [_told(path) for path in sorted(directory.glob("tokens-*.sqlite")) if is_own_file(path)]


def damaged_rows(path: Path) -> int:
    """Of how many pictures and texts the tokens in a file are damaged, whichever model's they are.

    Raises:
        sqlite3.Error: It is no such file, or damaged as a whole.
    """
    with opened_cache(path, largest=_LARGEST_ROW) as connection:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        rows = connection.execute("SELECT checksum, numbers FROM tokens")
        return sum(not _is_whole(checksum, numbers) for checksum, numbers in rows)


def _is_whole(checksum: object, numbers: object) -> bool:
    return (
        isinstance(numbers, bytes) and len(numbers) <= LARGEST and zlib.crc32(numbers) == checksum
    )


def _number(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _told(path: Path) -> TokenFile:
    size = path.stat().st_size
    counted = "SELECT image LIKE 'text:%', count(*), avg(length(numbers)) FROM tokens GROUP BY 1"
    try:
        with opened_cache(path, largest=_LARGEST_ROW) as connection:
            found = {is_text: rest for is_text, *rest in connection.execute(counted)}
            factor = _number(connection) or None
    except sqlite3.Error:
        return TokenFile(path, None, 0, size)
    pictures, picture_bytes = found.get(0, (0, None))
    texts, text_bytes = found.get(1, (0, None))
    return TokenFile(path, pictures, texts, size, picture_bytes, text_bytes, factor)
