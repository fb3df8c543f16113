"""`TokenStore`: pictures' tokens, made once and kept in a space, so that judging runs no tower."""

from __future__ import annotations

import logging
import os
import sqlite3
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unisem.common.cache_file import opened_cache
from unisem.common.owned import is_own_file
from unisem.errors import RerankerError

Tokens = NDArray[np.float16]
"""One picture's tokens, ``(t, w)`` float16."""

LARGEST = 16_384
"""Bytes that a picture's tokens may have."""

_AT_ONCE = 500  # digests that are looked up by one statement
_CREATE = """CREATE TABLE IF NOT EXISTS tokens (
    image TEXT PRIMARY KEY, checksum INTEGER NOT NULL, numbers BLOB NOT NULL)"""
_FIND = "SELECT image, checksum, numbers FROM tokens WHERE image IN "
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TokenFile:
    """One model's tokens in a space, as they lie on the disk.

    Attributes:
        path: The file.
        pictures: How many pictures' tokens it has; ``None`` if it is damaged.
        size: Its bytes.
    """

    path: Path
    pictures: int | None
    size: int


class TokenStore:
    """Keeps tokens by the SHA-256 of the picture's bytes, in a file of the model's fingerprint.

    The file is derived: deleting it loses nothing but time. Every picture's tokens have a checksum;
    those that are damaged are as if they were not there, and so is a damaged file, which is made
    anew when tokens are next written. Processes and threads may share it.

    Args:
        directory: The space's.
        fingerprint: The model's, see `CrossModalReranker.fingerprint`.
        shape: ``(t, w)`` of a picture's tokens.

    Attributes:
        path: The file, ``tokens-….sqlite``.

    Raises:
        RerankerError: Such tokens are larger than 16 kB a picture.
    """

    def __init__(self, directory: Path, fingerprint: str, shape: tuple[int, int]) -> None:
        if not self.takes(shape):
            raise RerankerError(
                f"{shape[0]} tokens of {shape[1]} numbers are {2 * shape[0] * shape[1]:,} bytes a "
                f"picture, more than the {LARGEST:,} that a space keeps"
            )
        self.path = directory / f"tokens-{fingerprint[:16]}.sqlite"
        self._shape = shape

    @staticmethod
    def takes(shape: tuple[int, int]) -> bool:
        """Whether a space keeps tokens of ``(t, w)`` float16: those of at most 16 kB."""
        return 2 * shape[0] * shape[1] <= LARGEST

    def read(self, images: Collection[str]) -> dict[str, Tokens]:
        """Return the tokens of the pictures of these digests, where they are stored and whole."""
        found: dict[str, Tokens] = {}
        asked = sorted(set(images))
        if not asked or not is_own_file(self.path):
            return found
        damaged = 0
        try:
            with self._opened() as connection:
                for start in range(0, len(asked), _AT_ONCE):
                    part = asked[start : start + _AT_ONCE]
                    marks = ",".join("?" * len(part))
                    rows = connection.execute(f"{_FIND}({marks})", part)
                    for image, checksum, numbers in rows:
                        tokens = self._whole(checksum, numbers)
                        if tokens is None:
                            damaged += 1
                        else:
                            found[image] = tokens
        except sqlite3.Error as error:
            _LOGGER.warning("%s cannot be read, and is not used: %s", self.path, error)
        if damaged:
            _LOGGER.warning(
                "%s: tokens of %d pictures are damaged, and are not used", self.path, damaged
            )
        return found

    def write(self, tokens: Mapping[str, Tokens]) -> None:
        """Keep pictures' tokens by digest, all of them or none.

        Raises:
            RerankerError: The disk refused, or another process writes for long.
        """
        rows = []
        for image, numbers in tokens.items():
            if numbers.shape != self._shape or numbers.dtype != np.float16:
                raise ValueError(f"tokens must be {self._shape} float16, not {numbers.shape}")
            content = np.ascontiguousarray(numbers).tobytes()
            rows.append((image, zlib.crc32(content), content))
        self._change(
            lambda connection: connection.executemany(
                "INSERT OR REPLACE INTO tokens VALUES (?, ?, ?)", rows
            )
        )

    def keep_only(self, images: Collection[str]) -> int:
        """Drop the tokens of all other pictures, and give their place back; how many those were.

        Raises:
            RerankerError: As `write`.
        """
        gone: list[str] = []

        def drop(connection: sqlite3.Connection) -> None:
            stored = {str(image) for (image,) in connection.execute("SELECT image FROM tokens")}
            gone[:] = sorted(stored - set(images))
            connection.executemany("DELETE FROM tokens WHERE image = ?", zip(gone, strict=True))

        self._change(drop)
        if gone:
            self._change(lambda connection: connection.execute("VACUUM"))
        return len(gone)

    def _whole(self, checksum: object, numbers: object) -> Tokens | None:
        tokens, width = self._shape
        if not isinstance(numbers, bytes) or len(numbers) != 2 * tokens * width:
            return None
        if not _is_whole(checksum, numbers):
            return None
        return np.frombuffer(numbers, np.float16).reshape(tokens, width)

    def _opened(self) -> AbstractContextManager[sqlite3.Connection]:
        return opened_cache(self.path, _CREATE, largest=2 * LARGEST)

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


def token_files(directory: Path) -> Sequence[TokenFile]:
    """Which models' tokens a space's directory has."""
    return [
        TokenFile(path, _pictures(path), path.stat().st_size)
        for path in sorted(directory.glob("tokens-*.sqlite"))
        if is_own_file(path)
    ]


def damaged_rows(path: Path) -> int:
    """Of how many pictures the tokens in a file are damaged, whichever model's they are.

    Raises:
        sqlite3.Error: It is no such file, or damaged as a whole.
    """
    with opened_cache(path, largest=2 * LARGEST) as connection:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        rows = connection.execute("SELECT checksum, numbers FROM tokens")
        return sum(not _is_whole(checksum, numbers) for checksum, numbers in rows)


def _is_whole(checksum: object, numbers: object) -> bool:
    return (
        isinstance(numbers, bytes) and len(numbers) <= LARGEST and zlib.crc32(numbers) == checksum
    )


def _pictures(path: Path) -> int | None:
    try:
        with opened_cache(path, largest=2 * LARGEST) as connection:
            return int(connection.execute("SELECT count(*) FROM tokens").fetchone()[0])
    except sqlite3.Error:
        return None
