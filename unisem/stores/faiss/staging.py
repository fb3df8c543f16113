"""`stage_store`: one committed state of a store as files that need no others but their pictures.

The copy's records refer to every picture as a blob, whichever folder it lies in here, so that
whoever gets the copy and the pictures has all. A region of a page becomes the picture that it
shows. What was removed and waits to be erased here is erased there, with its words and vectors,
and the columns that filters look at are written anew if they name any of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unisem.errors import CorruptStoreError, StoreError
from unisem.images.formats import SUFFIXES
from unisem.images.library import BLOB, ImageLibrary
from unisem.images.reference import ImageRef
from unisem.stores.faiss import checksums
from unisem.stores.faiss.backup import copy_without_pictures
from unisem.stores.faiss.column_file import ColumnFile, ColumnMaker
from unisem.stores.faiss.connection import connect
from unisem.stores.faiss.database import DAMAGED
from unisem.stores.faiss.moments import Moment, Moments
from unisem.stores.faiss.rawvectors import RawVectors
from unisem.stores.faiss.readonly import read_only
from unisem.stores.faiss.recordrows import RecordRows
from unisem.stores.faiss.unerased import LIVING, Unerased, unerased_rows
from unisem.stores.faiss.upgrades import FORMAT
from unisem.stores.faiss.words import VERSION, WordIndex
from unisem.stores.maintenance import Staged
from unisem.stores.selection import EVERYTHING

_PAGE = 1024
_TRIES = 4  # of copying an index that is replaced meanwhile
_IMAGE = checksums.RECORD_PARTS.split(", ").index("image")
_DAMAGED = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class _Copy:
    folder: Path
    library: ImageLibrary


def stage_store(directory: Path, image_library: ImageLibrary, copy: Path) -> Staged:
    """Copy a store's present state, whoever reads and writes it meanwhile.

    Args:
        directory: The store.
        image_library: Where its pictures lie.
        copy: An empty directory; nothing in it is safe from a power cut.

    Raises:
        StoreError: There is no store, it is of an older format, or the disk refused.
        CorruptStoreError: The catalogue is damaged.
    """
    try:
        for _ in range(_TRIES):
            if copy_without_pictures(directory, copy):
                break
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{directory} could not be copied ({error})") from error
    with read_only(copy) as database:
        facts = dict(database.execute("SELECT name, value FROM facts").fetchall())
        if facts.get("format") != FORMAT:
            raise StoreError(
                f"{directory} has format {facts.get('format')!r:.20}; open it once with this "
                "version of unisem, which brings it up to date, and publish it then"
            )
        moment = Moments(database).at(int(facts["transaction"]))

    def follows(former: str) -> bool:
        epoch, _, transaction = former.rpartition(":")
        with read_only(copy) as database:
            return (
                transaction.isdecimal()
                and int(transaction) <= moment.transaction
                and Moments(database).knows(Moment(epoch, int(transaction)))
            )

    pictures = _placed(copy, image_library, directory)
    return Staged(pictures, f"{moment.epoch}:{moment.transaction}", follows)


def _placed(copy: Path, here: ImageLibrary, directory: Path) -> Iterator[tuple[str, ImageRef]]:
    """Give every picture its place as a blob, in the copy's records."""
    there = _Copy(copy.resolve(), ImageLibrary(copy))
    with closing(connect(copy / "catalog.sqlite", "write")) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA secure_delete = ON")  # what is erased is nowhere in the file
        database.execute("BEGIN IMMEDIATE")
        last = 0
        while lines := database.execute(
            f"SELECT row, checksum, {checksums.RECORD_PARTS} FROM records"  # noqa: S608 - a constant
            f" WHERE row > ? AND image IS NOT NULL AND {LIVING} ORDER BY row LIMIT ?",
            (last, _PAGE),
        ).fetchall():
            last = lines[-1][0]
            changed = []
            for row, checksum, *parts in lines:
                try:
                    if checksum != checksums.of_record(row, parts):
                        raise ValueError("it does not agree with its checksum")
                    name, image, place = _place(parts[_IMAGE], here, there)
                except _DAMAGED as error:
                    raise CorruptStoreError(
                        f"{directory}: record {parts[0]!r:.80} is damaged ({error}); see `unisem "
                        "store check`"
                    ) from error
                yield name, image
                if place != parts[_IMAGE]:
                    parts[_IMAGE] = place
                    changed.append((place, checksums.of_record(row, parts), row))
            database.executemany(
                "UPDATE records SET image = ?, checksum = ? WHERE row = ?", changed
            )
        try:
            _erase(database, there)
        except _DAMAGED as error:
            raise CorruptStoreError(f"{directory}: {error}; see `unisem store check`") from error
        database.execute("COMMIT")
    for leftover in copy.glob("catalog.sqlite-*"):
        leftover.unlink()


def _erase(database: sqlite3.Connection, there: _Copy) -> None:
    """Take off the copy what was removed: records, words, vectors, values in the columns."""
    records, words = RecordRows(database, there.library), WordIndex(database)
    RawVectors(database).sweep()
    if waiting := unerased_rows(database).tolist():
        facts = dict(database.execute("SELECT name, value FROM facts").fetchall())
        try:
            is_known = facts.get("words") == VERSION
            if is_known:
                words.remove(records.entries(waiting))
        except DAMAGED:  # what was entered of it cannot be told
            is_known = False
        records.erase(waiting)
        Unerased(database).forget(waiting)
        if is_known:
            words.merge()
        else:
            words.rebuild()
            database.execute("INSERT OR REPLACE INTO facts VALUES ('words', ?)", (VERSION,))
    elif records.first_free() > len(records) + 1:  # words of those that were erased at once
        words.merge()
    columns = ColumnFile.load(there.folder)
    if columns is not None and not np.isin(columns.rows, records.chosen(EVERYTHING)).all():
        (number,) = database.execute(
            "SELECT value FROM facts WHERE name = 'transaction'"
        ).fetchone()
        ColumnMaker(records.lines()).save(there.folder, Moments(database).at(int(number)))


def _place(text: Any, here: ImageLibrary, there: _Copy) -> tuple[str, ImageRef, str]:
    """A picture's place among the blobs, it where it lies now, and what the copy says of it."""
    image = here.from_json(text)
    if here.holds(image):
        assert image.path is not None
        name = "/".join(image.path.parts[-2:])
    elif image.sha256 is not None and image.mime_type is not None:
        name = f"{image.sha256[:2]}/{image.sha256}{SUFFIXES[image.mime_type]}"
    else:
        name = ""
    if not BLOB.fullmatch(name):
        raise ValueError("its picture has no digest")
    kept = image.as_file(there.folder / "blobs" / name, there.folder)
    return name, image, there.library.to_json(kept)
