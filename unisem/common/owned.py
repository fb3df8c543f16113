"""`check_owned`: a space's directory holds its own files, and nothing that leads elsewhere.

A space may come from a stranger. A link among its files would have UniSem read, overwrite or delete
what it points at; a pipe or a device would stop it for ever. A link to the directory itself is the
user's own doing and is followed.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from unisem.errors import CorruptStoreError

_JOURNAL = ".sqlite-journal"
_NAMES_ANOTHER = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
"""How a rollback journal ends that names a super-journal, https://www.sqlite.org/fileformat.html;
SQLite deletes the file of that name, wherever it lies, when it rolls back."""


def check_owned(directory: Path) -> None:
    """Refuse a space's directory that has links, pipes or devices in place of files.

    Args:
        directory: The directory; nothing is wrong with one that is absent.

    Raises:
        CorruptStoreError: Names what is none of a space's files, and the remedy.
    """
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_symlink():
                raise CorruptStoreError(
                    f"{entry.path} is a link; a space keeps its files in a directory of its own. "
                    "Put the file or folder itself there, or link the whole directory"
                )
            if not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
                raise CorruptStoreError(f"{entry.path} is neither a file nor a folder; remove it")
            if entry.name.endswith(_JOURNAL) and _names_another(Path(entry.path)):
                raise CorruptStoreError(
                    f"{entry.path} names another file, which a space's journal never does; remove "
                    "the journal, or restore the space from a copy"
                )


def is_own_folder(folder: Path) -> bool:
    """Whether this is a folder, and no link to one."""
    return stat.S_ISDIR(_mode(folder))


def is_own_file(path: Path) -> bool:
    """Whether this is a regular file, and no link to one."""
    return stat.S_ISREG(_mode(path))


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0


def _names_another(journal: Path) -> bool:
    with journal.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_NAMES_ANOTHER)))
        return file.read() == _NAMES_ANOTHER
