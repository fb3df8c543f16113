"""Which of a folder's files are a person's: `FileChoice`, and `walked`, which goes by it."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase, translate
from functools import lru_cache
from pathlib import Path, PurePath

from unisem.common.skipped import Skipped

_LARGEST_MANIFEST = 1 << 20  # bytes of the file that tells a space
LEFT_OUT = (
    ".git",
    ".svn",
    ".hg",
    ".cache",
    ".thumbnails",
    ".Trashes",
    ".Trash-*",
    ".DS_Store",
    "._*",
    ".*",
    "~$*",
    "@eaDir",
    "@__thumb",
    "@Recycle",
    "#recycle",
    "#snapshot",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
    "__MACOSX",
    "node_modules",
    "__pycache__",
    "Thumbs.db",
    "desktop.ini",
)
"""Patterns of what systems and tools keep for themselves beside people's files, capitals or not."""


@dataclass(frozen=True, slots=True)
class FileChoice:
    """Which files and folders are left out of a folder, by patterns as shells have them.

    A pattern without a slash is of a name, wherever it is; one with a slash is of a path inside the
    folder. Capitals do not matter. What is in a folder that is left out is left out with it.

    Attributes:
        exclude: Patterns of what is left out besides `LEFT_OUT`.
        include: Patterns of what is taken in although `LEFT_OUT` names it.

    Raises:
        ValueError: A pattern is empty, or leads out of the folder.

    >>> choice = FileChoice(exclude=("drafts", "2023/*.png"), include=("node_modules",))
    >>> [choice.rule(PurePath(path)) for path in ("a/Drafts", "2023/b.PNG", "node_modules", ".git")]
    ['drafts', '2023/*.png', None, '.git']
    """

    exclude: Sequence[str] = ()
    include: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("exclude", "include"):
            given: object = getattr(self, name)
            if isinstance(given, str):
                raise TypeError(f"{name} must be a list of patterns, for example [{given!r}]")
            object.__setattr__(self, name, tuple(map(_checked, getattr(self, name))))

    def rule(self, path: PurePath) -> str | None:
        """The pattern by which a file or a folder is left out; ``None`` if it is not.

        Args:
            path: Relative to the folder; what it lies in is not looked at.
        """
        found = _first(tuple(self.exclude), path)
        if found is None and _first(tuple(self.include), path) is None:
            found = _first(LEFT_OUT, path)
        return found

    def leaves_out(self, path: PurePath) -> bool:
        """Whether a path is left out, or a folder that it lies in."""
        parts = path.parts
        return any(self.rule(PurePath(*parts[:depth])) for depth in range(1, len(parts) + 1))


@dataclass(slots=True)
class Walk:
    """What was found in a folder.

    Attributes:
        files: The files in it and its subfolders, sorted.
        closed: The folders that are not entered, and why.
        left_out: How many files and folders were left out, by pattern.
    """

    files: list[Path] = field(default_factory=list)
    closed: list[Skipped] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def walked(folder: Path, choice: FileChoice) -> Walk:
    """Find the files in a folder and its subfolders that are a person's; spaces are no one's.

    Args:
        folder: Where to begin.
        choice: What is left out.
    """
    walk = Walk()

    def report(error: OSError) -> None:
        walk.closed.append(Skipped(str(error.filename), f"cannot be read ({error.strerror})"))

    def wanted(inside: PurePath, names: Sequence[str]) -> list[str]:
        kept: list[str] = []
        for name in sorted(names):
            rule = choice.rule(inside / name)
            if rule is None:
                kept.append(name)
            else:
                walk.left_out[rule] += 1
        return kept

    for place, subfolders, names in os.walk(folder, onerror=report):
        here = Path(place)
        inside = here.relative_to(folder)
        entered: list[str] = []
        for name in wanted(inside, subfolders):
            if (here / name).is_symlink():
                walk.closed.append(
                    Skipped(str(here / name), "is a link to a folder; index that by its name")
                )
            elif not is_space(here / name):
                entered.append(name)
        subfolders[:] = entered
        walk.files += [here / name for name in wanted(inside, names)]
    return walk


def is_space(folder: Path) -> bool:
    """Whether a folder is a space, or a bare store: what lies in it is nobody's document."""
    if (folder / "catalog.sqlite").exists():
        return True
    try:
        with (folder / "manifest.json").open("rb") as file:
            parts = json.loads(file.read(_LARGEST_MANIFEST))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(parts, dict) and {"encoder", "fingerprint", "store"} <= parts.keys()


def _checked(pattern: object) -> str:
    """A pattern, of a folder without the slash behind it."""
    if not isinstance(pattern, str):
        raise TypeError(f"a pattern must be a string, not {type(pattern).__name__}")
    plain = pattern.rstrip("/")
    if plain in ("", ".") or plain.startswith("/") or ".." in plain.split("/"):
        raise ValueError(
            f"{pattern!r} is no pattern of files in the folder; write a name (drafts, *.tmp) or a "
            "path inside it (2023/drafts)"
        )
    return plain.removeprefix("./")


def _first(patterns: tuple[str, ...], path: PurePath) -> str | None:
    """The first of the patterns that a path fits."""
    names, paths = _compiled(patterns)
    name = folded(path.name)
    if not (names.match(name) or (paths is not None and paths.match(folded(path.as_posix())))):
        return None  # as of most
    whole = folded(path.as_posix())
    fits = (fnmatchcase(whole if "/" in it else name, folded(it)) for it in patterns)
    return next((it for it, does in zip(patterns, fits, strict=True) if does), None)


@lru_cache(maxsize=16)
def _compiled(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    """What any of the patterns of names fits, and any of those of paths, if there are some."""
    names = [translate(folded(it)) for it in patterns if "/" not in it]
    paths = [translate(folded(it)) for it in patterns if "/" in it]
    return re.compile("|".join(names) or "(?!)"), re.compile("|".join(paths)) if paths else None


def folded(name: str) -> str:
    """A name as file systems compare it that know neither capitals nor ways to write an accent."""
    return unicodedata.normalize("NFC", name).casefold()
