"""`write_caption`: a caption into the ``metadata.jsonl`` beside the pictures.

What `unisem.readers.FolderReader` reads is written so that it reads it: into the line that
describes the picture already, wherever in the folder that is, or at the end of the folder's own
file. All other lines stay, byte for byte, and the file is replaced whole.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unisem.common.atomic_files import publish
from unisem.errors import LabelError
from unisem.readers.captions import METADATA_FILES, read_metadata

_OWN = "metadata.jsonl"
_LARGEST = 1 << 28  # bytes, as of pictures
_BOM = b"\xef\xbb\xbf"


def write_caption(picture: Path, folder: Path, caption: str | None) -> Path | None:
    """Write a picture's caption down, or take it out again.

    Args:
        picture: The picture, in the folder.
        folder: Where the files of metadata are looked for, from here down to the picture.
        caption: The caption; ``None`` takes it out, and the line if nothing else is in it.

    Returns:
        The file that has it now; ``None`` if it is in no ``.jsonl`` and there is nothing to take
        out.

    Raises:
        LabelError: A ``metadata.csv`` describes the picture, or the file cannot be read or written.
    """
    inside = picture.relative_to(folder)
    places = [folder, *(folder / part for part in list(inside.parents)[-2::-1])]
    with _locked(folder):
        for table in (place / name for place in places for name in sorted(METADATA_FILES)):
            if not os.path.lexists(table):
                continue
            name = picture.relative_to(table.parent).as_posix()
            if table.suffix.lower() == ".csv":
                if caption is not None and _csv_names(table, picture):
                    raise LabelError(
                        f"{table} describes {name}, and a table is not written to; make a "
                        f"{_OWN} of it, or write the caption into {name}.txt"
                    )
                continue
            lines = _lines(table)
            for number, line in enumerate(lines):
                row = _row(line)
                if row is not None and _same(row, table.parent, picture):
                    lines[number] = _changed(row, caption, line)
                    _replace(table, lines)
                    return table
        if caption is None:
            return None
        table = folder / _OWN
        lines = _lines(table) if os.path.lexists(table) else []
        if lines and not lines[-1].endswith(b"\n"):
            lines[-1] += b"\n"
        row = {"file_name": inside.as_posix(), "text": caption}
        _replace(table, [*lines, _line(row)])
        return table


def _changed(row: dict[str, Any], caption: str | None, line: bytes) -> bytes:
    column = "text" if "text" in row or "caption" not in row else "caption"
    if caption is not None:
        row[column] = caption
    else:
        row.pop(column, None)
        if row.keys() <= {"file_name"}:
            return b""
    start = _BOM if line.startswith(_BOM) else b""
    return start + _line(row)


def _line(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line.removeprefix(_BOM))
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _same(row: dict[str, Any], folder: Path, picture: Path) -> bool:
    name = row.get("file_name")
    return isinstance(name, str) and os.path.normpath(folder / name) == str(picture)


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
