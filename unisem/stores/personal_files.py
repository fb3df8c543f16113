"""What people have said in a space and no record holds, in files beside the records.

A backup has them; what goes to others, exports and publications, has not: they name who said what,
and what somebody looked for.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from unisem.common.cache_file import opened_cache
from unisem.common.forks import undisturbed
from unisem.common.owned import is_own_file
from unisem.errors import LabelError

LABELS_FILE = "labels.sqlite"
"""Whom labelling asks what, and what was there before an answer."""
FEEDBACK_FILE = "feedback.sqlite"
"""Searches and which hits were right; searches are kept only while it is there."""
SETTLED = "SELECT record FROM answers WHERE caption IS NULL OR done = 0"
"""In the labels: of which records nobody is asked."""
_LARGEST = 1 << 24  # bytes of a row


def copy_personal_files(directory: Path, copy: Path) -> list[str]:
    """Copy each as it is after some write, whole and safe from a power cut.

    Args:
        directory: The space's, with no links in it.
        copy: Another directory, which has none of them.

    Returns:
        The names of those that are there and cannot be read.

    Raises:
        OSError: The disk refused.
    """
    unread = []
    for name in (LABELS_FILE, FEEDBACK_FILE):
        if is_own_file(directory / name):
            target = copy / name
            try:
                _copy(directory / name, target)
            except sqlite3.Error:
                target.unlink(missing_ok=True)
                unread.append(name)
                continue
            shutil.copymode(directory / name, target)
            with target.open("rb") as file:
                os.fsync(file.fileno())
    return unread


def _copy(original: Path, copy: Path) -> None:
    # For writing, as a process that has died may have left something to be rolled back.
    name = f"file:{quote(os.fsencode(original.absolute()))}?mode=rw"
    with (
        undisturbed(),
        closing(sqlite3.connect(name, uri=True)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        copy.chmod(0o600)
        source.backup(target)


def follow_renames(directory: Path, moved: Mapping[str, str]) -> None:
    """Have questions, answers and judged searches follow records that have other ids now.

    Where two records are one now, its own question goes before the other's and stays with whoever
    has it; if either was settled, nobody is asked anew.

    Args:
        directory: The space's.
        moved: As of `IngestReport`: old ids, each with its new one; two may change places.

    Raises:
        LabelError: A file is damaged, or cannot be written.
    """
    for name, rename in ((LABELS_FILE, _rename_labels), (FEEDBACK_FILE, _rename_searches)):
        if not moved or not is_own_file(directory / name):
            continue
        try:
            with opened_cache(directory / name, largest=_LARGEST) as connection:
                connection.isolation_level = None
                connection.execute("BEGIN IMMEDIATE")  # what is said meanwhile comes after
                rename(connection, moved)
                connection.execute("COMMIT")
        except (sqlite3.Error, TypeError, ValueError) as error:
            raise LabelError(
                f"{directory / name}: records have other ids now, and this cannot follow ({error});"
                " if the file is damaged, move it away: captions are in the space"
            ) from error


def _rename_labels(connection: sqlite3.Connection, moved: Mapping[str, str]) -> None:
    away = [(f"\0{number}", name) for number, name in enumerate(moved)]
    there = [(name, f"\0{number}") for number, name in enumerate(moved.values())]
    many = connection.executemany
    for rows in (away, there):
        many("UPDATE answers SET record = ? WHERE record = ?", rows)
    many("UPDATE questions SET record = ? WHERE record = ?", away)
    many(
        "UPDATE OR IGNORE questions SET record = ?1 WHERE record = ?2"  # noqa: S608
        f" AND ?1 NOT IN ({SETTLED})",
        there,
    )
    many(
        "DELETE FROM questions WHERE record = ?2 OR (record = ?1 AND until = 0"  # noqa: S608
        f" AND ?1 IN ({SETTLED}))",
        there,
    )


def _rename_searches(connection: sqlite3.Connection, moved: Mapping[str, str]) -> None:
    def renamed(ids: str | None) -> str | None:
        return ids and json.dumps([moved.get(name, name) for name in json.loads(ids)])

    rows = connection.execute("SELECT number, shown, chosen FROM searches").fetchall()
    connection.executemany(
        "UPDATE searches SET shown = ?, chosen = ? WHERE number = ?",
        [
            (renamed(shown), renamed(chosen), number)
            for number, shown, chosen in rows
            if renamed(shown) != shown
        ],
    )
