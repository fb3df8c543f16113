"""`write_caption`: a caption into the ``metadata.jsonl`` beside the pictures, and out again.

What `unisem.readers.FolderReader` reads is written so that it reads it: into the line that
describes the picture already, wherever in the folder that is, or at the end of the folder's own
file. All else stays, byte for byte, and the file is replaced whole.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unisem.common.atomic_files import publish
from unisem.errors import LabelError
from unisem.readers.captions import METADATA_FILES, read_metadata

_OWN = "metadata.jsonl"
_LARGEST = 1 << 28  # bytes, as of pictures
_BOM = b"\xef\xbb\xbf"
_DECODER = json.JSONDecoder()


def write_caption(picture: Path, folder: Path, caption: str) -> Path:
    """Write a picture's caption down.

    Args:
        picture: The picture, in the folder.
        folder: Where the files of metadata are looked for, from here down to the picture.
        caption: The caption.

    Returns:
        The file that has it now.

    Raises:
        LabelError: A ``metadata.csv`` describes the picture, or the file cannot be read or written.
    """
    with _locked(folder):
        for table in _tables(picture, folder):
            if table.suffix.lower() == ".csv":
                if _csv_names(table, picture):
                    name = picture.relative_to(table.parent).as_posix()
                    raise LabelError(
                        f"{table} describes {name}, and a table is not written to; make a "
                        f"{_OWN} of it, or write the caption into {name}.txt"
                    )
                continue
            lines = _lines(table)
            for number, line in enumerate(lines):
                if (row := _row(line, table.parent, picture)) is not None:
                    if row.get(_column(row)) != caption:
                        lines[number] = _with(line, _column(row), caption)
                        _replace(table, lines)
                    return table
        table = folder / _OWN
        lines = _lines(table) if os.path.lexists(table) else []
        row = {"file_name": picture.relative_to(folder).as_posix(), "text": caption}
        added = json.dumps(row, ensure_ascii=False).encode()
        if lines and not lines[-1].endswith(b"\n"):
            lines[-1] += b"\n"  # and the new line has none, so that it leaves no trace
        else:
            added += b"\n"
        _replace(table, [*lines, added])
        return table


def remove_caption(picture: Path, folder: Path, caption: str) -> None:
    """Take a picture's caption out again, and its line if only the picture's name is left of it.

    Args:
        picture: The picture, in the folder.
        folder: As for `write_caption`.
        caption: What was written; any other caption stays.

    Raises:
        LabelError: The file cannot be read or written.
    """
    with _locked(folder):
        for table in _tables(picture, folder):
            if table.suffix.lower() == ".csv":
                continue
            lines = _lines(table)
            for number, line in enumerate(lines):
                if (row := _row(line, table.parent, picture)) is None:
                    continue
                column = _column(row)
                if row.get(column) == caption:
                    if row.keys() <= {"file_name", column}:
                        _drop(lines, number)
                    else:
                        lines[number] = _without(line, column)
                    _replace(table, lines)
                return


def _tables(picture: Path, folder: Path) -> Iterator[Path]:
    """The files of metadata that may describe a picture, from the folder down to it."""
    parents = list(picture.relative_to(folder).parents)
    for place in [folder, *(folder / part for part in parents[-2::-1])]:
        for name in sorted(METADATA_FILES):
            if os.path.lexists(place / name):
                yield place / name


def _column(row: dict[str, Any]) -> str:
    return "text" if "text" in row or "caption" not in row else "caption"


def _with(line: bytes, column: str, caption: str) -> bytes:
    """The line with this caption and, byte for byte, what else is in it."""
    text, written = line.decode(), json.dumps(caption, ensure_ascii=False)
    members = list(_members(text))
    for member in reversed(members):  # of several of one name, the last counts
        if member.name == column:
            return f"{text[: member.value]}{written}{text[member.end :]}".encode()
    end = members[-1].end
    return f'{text[:end]}, "{column}": {written}{text[end:]}'.encode()


def _without(line: bytes, column: str) -> bytes:
    """The line without this member and its comma; something else is in it."""
    text = line.decode()
    names = [member.name for member in _members(text)]
    for number in reversed([place for place, name in enumerate(names) if name == column]):
        members = list(_members(text))
        if number:
            text = text[: members[number - 1].end] + text[members[number].end :]
        else:
            text = text[: members[0].start] + text[members[1].start :]
    return text.encode()


def _drop(lines: list[bytes], number: int) -> None:
    """Take a line out; a file that ended without a line's end does so again."""
    gone = lines.pop(number)
    if number and number == len(lines) and not gone.endswith(b"\n"):
        lines[-1] = lines[-1].removesuffix(b"\n")
    if gone.startswith(_BOM):
        lines[:1] = [_BOM + line for line in lines[:1]]


@dataclass(frozen=True, slots=True)
class _Member:
    """Where a name and its value stand in a line."""

    name: str
    start: int
    value: int
    end: int


def _members(line: str) -> Iterator[_Member]:
    """The members of the object in a line that is known to be JSON."""
    at = _after_blanks(line, line.index("{") + 1)
    while line[at] != "}":
        name, end = _DECODER.raw_decode(line, at)
        value = _after_blanks(line, line.index(":", end) + 1)
        _, end = _DECODER.raw_decode(line, value)
        yield _Member(name, at, value, end)
        at = _after_blanks(line, end)
        if line[at] == ",":
            at = _after_blanks(line, at + 1)


def _after_blanks(line: str, at: int) -> int:
    while line[at] in " \t\r\n":
        at += 1
    return at


def _row(line: bytes, folder: Path, picture: Path) -> dict[str, Any] | None:
    """What a line says, if it describes the picture."""
    try:
        row = json.loads(line.removeprefix(_BOM))
    except (ValueError, RecursionError):
        return None
    name = row.get("file_name") if isinstance(row, dict) else None
    is_same = isinstance(name, str) and os.path.normpath(folder / name) == str(picture)
    return row if is_same else None


def _csv_names(table: Path, picture: Path) -> bool:
    return any(
        isinstance(entry, tuple) and os.path.normpath(table.parent / entry[0]) == str(picture)
        for entry in read_metadata(table, table.parent)
    )


def _lines(table: Path) -> list[bytes]:
    """The file's lines with their ends; links are not followed."""
    try:
        opened = os.open(table, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(opened, "rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise LabelError(f"{table} cannot be read ({error.strerror})") from error
    if len(content) > _LARGEST:
        raise LabelError(f"{table} is larger than the limit of {_LARGEST:,} bytes")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise LabelError(f"{table} is UTF-16, which is not written to; save it as UTF-8")
    try:
        content.decode()
    except UnicodeDecodeError:
        raise LabelError(f"{table} is not UTF-8, and is not written to; save it as UTF-8") from None
    parts = content.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _replace(table: Path, lines: list[bytes]) -> None:
    temporary = table.with_name(f".{table.name}.{os.getpid()}.partial")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
            file.write(b"".join(lines))
        if table.exists():
            os.chmod(temporary, table.stat().st_mode & 0o777)
        publish(temporary, table)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise LabelError(f"{table} cannot be written ({error.strerror})") from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Nobody else writes a caption into this folder meanwhile."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise LabelError(f"{folder} cannot be read ({error.strerror})") from error
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)
