"""Captions and metadata of the pictures in a folder, in the ImageFolder convention.

A ``metadata.jsonl`` or ``metadata.csv`` names pictures by ``file_name``, relative to itself; the
column ``text`` (or else ``caption``) is the caption and every other column is metadata. A table
may call them as people do: ``File name``, ``filename``, ``Caption``. A picture that no such file
gives a caption may have it in a text file beside it; see `unisem.readers.companions`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from unisem.common.skipped import Skipped
from unisem.errors import ImageError, RecordError
from unisem.images.reference import ImageRef
from unisem.readers.tables import Rows, TableError, csv_rows, json_rows, typed
from unisem.readers.texts import is_western, read_text
from unisem.records import Record

METADATA_FILES = tuple(
    f"{stem}.{kind}"
    for stem in ("METADATA", "Metadata", "metadata")
    for kind in ("CSV", "JSONL", "Csv", "csv", "jsonl")
)
_CAPTIONS = ("text", "caption")


@dataclass(slots=True)
class Description:
    """What a metadata file says about one picture."""

    caption: str | None
    metadata: dict[str, Any] = field(default_factory=dict)


def read_metadata(path: Path, folder: Path) -> Iterator[tuple[str, Description] | Skipped]:
    """Yield ``(file_name, description)`` for each row; unusable rows as `Skipped`.

    Args:
        path: A ``metadata.jsonl`` or ``metadata.csv``; see `unisem.readers.tables`.
        folder: What it must lie in, symbolic links resolved.
    """
    try:
        data = ImageRef(path=path, root=folder).read_bytes()
        if is_western(data):  # as Excel writes a CSV that is not said to be UTF-8
            data = data.decode("cp1252").encode()
        file = BytesIO(data)
        rows = json_rows(file) if path.suffix.lower() == ".jsonl" else _typed_csv(file)
    except ImageError as error:
        yield Skipped(str(path), error.reason)
        return
    except TableError as error:
        yield Skipped(str(path), str(error))
        return
    for number, row in rows:
        where = f"{path}:{number}"
        if isinstance(row, str):
            yield Skipped(where, row)
            continue
        name = row.pop("file_name", None)
        if not isinstance(name, str) or not name:
            yield Skipped(where, 'has no "file_name"')
            continue
        column = "text" if "text" in row else "caption"
        caption = row.pop(column, None)
        if caption is not None and not isinstance(caption, str):
            yield Skipped(where, f'"{column}" must be a string, not {type(caption).__name__}')
            continue
        try:
            Record(id=name, text=caption or name, metadata=row)
        except RecordError as error:
            yield Skipped(where, str(error))
            continue
        yield name, Description(caption, row)


def _typed_csv(file: BytesIO) -> Rows:
    """All rows at once: what a column is depends on all of its cells."""
    rows = list(csv_rows(file, ["file_name"], called=_column))
    whole = iter(
        typed([row for _, row in rows if isinstance(row, dict)], ["file_name", *_CAPTIONS])
    )
    return ((number, row if isinstance(row, str) else next(whole)) for number, row in rows)


def _column(name: str) -> str:
    """A column's name, those that mean something here in the way in which they are written here."""
    plain = name.casefold().replace(" ", "_").replace("-", "_")
    plain = "file_name" if plain == "filename" else plain
    return plain if plain in ("file_name", *_CAPTIONS) else name


def read_sidecar(path: Path | None, folder: Path) -> str | Skipped | None:
    """The caption in a text file; what is wrong with it; or ``None`` if there is none.

    Args:
        path: As `unisem.readers.companions.caption_of` gives it.
        folder: What the text must lie in, symbolic links resolved.
    """
    if path is None or os.path.isdir(path):
        return None
    try:
        return read_text(path, folder).strip() or None
    except ValueError as error:
        return Skipped(str(path), f"is no caption: {error}")
