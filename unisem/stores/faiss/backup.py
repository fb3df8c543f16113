"""`back_up`: a copy of one committed state of a store, taken while others read and write."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

from unisem.common.atomic_files import fsync_folder
from unisem.common.forks import undisturbed
from unisem.common.owned import is_own_file, is_own_folder
from unisem.errors import StoreError
from unisem.images.library import BLOB, ImageLibrary
from unisem.stores.calibration_file import FILE as CALIBRATION
from unisem.stores.faiss.column_file import SEAL as COLUMNS
from unisem.stores.faiss.column_file import ColumnFile
from unisem.stores.faiss.moments import can_follow
from unisem.stores.faiss.readonly import read_only
from unisem.stores.faiss.recordrows import RecordRows
from unisem.stores.faiss.segment import SEAL, Segment
from unisem.stores.faiss.upgrades import FORMAT, copy_database
from unisem.stores.personal_files import copy_personal_files

_log = logging.getLogger(__name__)
_TRIES = 4  # states that are copied where files vanish meanwhile, because somebody compacts


def back_up(directory: Path, destination: Path) -> None:
    """Copy a store: catalogue, index, manifest, the pictures inside it, and what people have said.

    The copy has its name once it is whole and safe from a power cut. Pictures that lie elsewhere
    are not copied; those beside the store are looked for beside the copy.

    Args:
        directory: The store, open or not.
        destination: A directory that does not exist yet; folders above it are made.

    Raises:
        StoreError: There is no store, something of that name exists, or the disk refused; nothing
            is left.
        CorruptStoreError: The catalogue is damaged.
    """
    if os.path.lexists(destination):
        raise StoreError(f"{destination} exists already; name a new directory for the copy")
    temporary = destination.absolute().with_name(f".{destination.name}.{secrets.token_hex(8)}.tmp")
    try:
        temporary.mkdir(parents=True)
        # Before the catalogue: a caption that comes in between is then in that, if not in these.
        if unread := copy_personal_files(directory, temporary):
            _log.warning("%s: not in the copy, as damaged: %s", directory, unread)
        for left in reversed(range(_TRIES)):
            missing = _copy_state(directory, temporary)
            if not missing or not left:
                break
        if missing:
            _log.warning("%s: not in the copy, as not in the space: %s", directory, missing)
        for folder, _, _ in os.walk(temporary):
            fsync_folder(Path(folder))
        temporary.rename(destination)
        fsync_folder(temporary.parent)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{destination}: the copy could not be written ({error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _copy_state(directory: Path, copy: Path) -> list[str]:
    """Copy the present state; the names of what belongs to it and was not there."""
    missing = [] if copy_without_pictures(directory, copy) else [SEAL]
    with read_only(copy) as database:
        missing += [
            name
            for name in sorted(RecordRows(database, ImageLibrary(copy)).blobs())
            if not _copy_blob(directory / "blobs", copy / "blobs", name)
        ]
    for leftover in copy.glob("catalog.sqlite-*"):  # of the reading just now; empty
        leftover.unlink()
    return missing


def copy_without_pictures(directory: Path, copy: Path) -> bool:
    """Copy a store's present state but for its pictures; ``False`` if its index was not there.

    Args:
        directory: The store.
        copy: A folder that is there.

    Raises:
        OSError: The disk refused.
        sqlite3.Error: Likewise.
    """
    with undisturbed(), read_only(directory) as database:
        copy_database(database, copy / "catalog.sqlite")
    for name in ("manifest.json", CALIBRATION):
        if is_own_file(directory / name):
            _copy(directory / name, copy / name)
    _copy_columns(directory, copy)
    with read_only(copy) as database:
        return _copy_segment(database, directory, copy)


def _copy_blob(blobs: Path, copies: Path, name: str) -> bool:
    original, copy = blobs / name, copies / name
    if not BLOB.fullmatch(name) or not is_own_folder(blobs) or not is_own_folder(original.parent):
        return False
    if is_own_file(copy):
        return True
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        return is_own_file(original) and _copy(original, copy)
    except FileNotFoundError:
        return False


def _copy_segment(database: sqlite3.Connection, directory: Path, copy: Path) -> bool:
    """Copy the index if there is one; ``False`` if it is not of the copied state's past."""
    for old in copy.glob("vectors*"):
        old.unlink()
    seal = directory / SEAL
    facts = dict(database.execute("SELECT name, value FROM facts").fetchall())
    if not is_own_file(seal) or facts.get("format") != FORMAT or not facts.get("dimension"):
        return True
    with suppress(OSError, ValueError, KeyError, TypeError):  # replaced meanwhile, or damaged
        for name in json.loads(seal.read_text(encoding="utf-8"))["files"]:
            if is_own_file(directory / Path(name).name):
                _copy(directory / Path(name).name, copy / Path(name).name)
        _copy(seal, copy / SEAL)
        segment = Segment.load(copy, facts["dimension"])
        forgotten, current = facts.get("forgotten") or 0, facts["transaction"]
        if segment is not None and can_follow(database, segment.moment, forgotten, current):
            return True
    for new in copy.glob("vectors*"):
        new.unlink()
    return False


def _copy_columns(directory: Path, copy: Path) -> None:
    """Copy the columns if they are whole; which catalogue they belong to they know themselves."""
    for old in copy.glob("columns*"):
        old.unlink()
    with suppress(OSError, ValueError, KeyError, TypeError):  # absent, replaced meanwhile, damaged
        seal = directory / COLUMNS
        name = Path(json.loads(seal.read_text(encoding="utf-8"))["file"]).name
        if is_own_file(seal) and is_own_file(directory / name):
            _copy(directory / name, copy / name)
            _copy(seal, copy / COLUMNS)
    if ColumnFile.load(copy) is None:
        for new in copy.glob("columns*"):
            new.unlink()


def _copy(original: Path, copy: Path) -> bool:
    shutil.copyfile(original, copy, follow_symlinks=False)
    with copy.open("rb") as file:
        os.fsync(file.fileno())
    return True
