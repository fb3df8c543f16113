"""What people have said in a space and no record holds, in files beside the records.

A backup has them; what goes to others, exports and publications, has not: they name who said what,
and what somebody looked for.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from unisem.common.forks import undisturbed
from unisem.common.owned import is_own_file

LABELS_FILE = "labels.sqlite"
"""Whom labelling asks what, and what was there before an answer."""
FEEDBACK_FILE = "feedback.sqlite"
"""Searches and which hits were right; searches are kept only while it is there."""


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
