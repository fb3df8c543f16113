"""`FolderPresence`: which stored records are of a folder's files, and whether these are there."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from unisem.common.lazy_property import lazy_property
from unisem.readers.walking import FileChoice, folded
from unisem.records import Record


class FolderPresence:
    """What a folder holds now, beside what was read from it.

    Args:
        folder: The folder, its links resolved.
        files: The files that were found in it.
        choice: By which these were chosen.
        locate: Names a file in ``Record.source_id``.
    """

    def __init__(
        self,
        folder: Path,
        files: Sequence[Path],
        choice: FileChoice,
        locate: Callable[[Path], str],
    ) -> None:
        self._folder = folder
        self._files = files
        self._choice = choice
        # Not by a file's name: there may be a link of that name, which leads elsewhere.
        self._sources = f"{locate(folder).rstrip('/')}/".removeprefix("./")
        self._there: dict[str, bool] = {}  # folders beside this one

    def is_of(self, record: Record) -> bool:
        """Whether a stored record is of a file in this folder, there or gone."""
        source = record.source_id or ""
        return source.startswith(self._sources) and record.id.startswith(f"{self._folder.name}/")

    def folder_before(self, record: Record) -> str | None:
        """The name of a folder beside this one that is there no more, if a record is of that."""
        own = f"{self._folder.name}/"
        if not self._sources.endswith(own) or self.is_of(record):
            return None
        beside, source = self._sources.removesuffix(own), record.source_id or ""
        path = source.removeprefix(beside)
        name, slash, _ = path.partition("/")
        if not slash or not name or not source.startswith(beside) or not record.id.startswith(path):
            return None
        if name not in self._there:
            self._there[name] = os.path.lexists(self._folder.parent / name)
        return None if self._there[name] else name

    def has(self, path: Path) -> bool:
        """Whether a file is there by this very name, and is none that is left out.

        Where nobody can say (no permission, a lost drive), it is there.
        """
        if path in self._known:
            return True
        if not _is_there(path) or self._choice.leaves_out(path.relative_to(self._folder)):
            return False
        other = self._folded.get(folded(path.as_posix()))  # its name in other letters
        return other is None or not _is_same(path, other)

    def is_deleted(self, path: Path) -> bool:
        """Whether a file is not merely left out, and its folder is there with some others."""
        if path.parent not in self._inhabited:
            return False
        inside = path.relative_to(self._folder)
        return not (self._choice.leaves_out(inside) and _is_there(path))

    @lazy_property
    def _inhabited(self) -> set[Path]:
        """The folders with files, and this one."""
        return {self._folder, *(above for path in self._files for above in path.parents)}

    @lazy_property
    def _known(self) -> set[Path]:
        return set(self._files)

    @lazy_property
    def _folded(self) -> dict[str, Path]:
        """Files by their names as some file systems compare them."""
        return {folded(path.as_posix()): path for path in self._files}


def _is_same(path: Path, other: Path) -> bool:
    try:
        return os.path.samestat(path.lstat(), other.lstat())
    except OSError:
        return False


def _is_there(path: Path) -> bool:
    """Whether there is a file; where nobody can say, there is."""
    try:
        return not stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True
