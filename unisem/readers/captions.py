"""Captions and metadata of the pictures in a folder, in the ImageFolder convention.

A ``metadata.jsonl`` or ``metadata.csv`` names pictures by ``file_name``, relative to itself; the
column ``text`` (or else ``caption``) is the caption and every other column is metadata. A picture
that no such file names may have its caption in a text file of the same stem beside it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unisem.common.skipped import Skipped
from unisem.readers.texts import read_text

METADATA_FILES = ("metadata.jsonl", "metadata.csv")


@dataclass(slots=True)
class Description:
    """What a metadata file says about one picture."""

    caption: str | None
    metadata: dict[str, Any] = field(default_factory=dict)


def read_metadata(path: Path, folder: Path) -> Iterator[tuple[str, Description] | Skipped]:
    """Yield ``(file_name, description)`` for each line; unusable lines as `Skipped`.

    Args:
        path: A ``metadata.jsonl`` or ``metadata.csv``, UTF-8.
        folder: What it must lie in, symbolic links resolved.
    """
    try:
        text = read_text(path, folder)
    except ValueError as error:
        yield Skipped(str(path), f"cannot be read ({error})")
        return
    lines = _json_lines if path.suffix == ".jsonl" else _csv_lines
    for number, row in lines(text):
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
        yield name, Description(caption, row)


def read_sidecar(picture: Path, folder: Path) -> str | None:
    """The caption beside a picture: ``tiger.txt`` for ``tiger.png``; ``None`` if it has none.

    Args:
        picture: The picture.
        folder: What the text must lie in, symbolic links resolved.
    """
    path = picture.with_suffix(".txt")
    try:
        return read_text(path, folder).strip()
    except ValueError:
        return None


def _json_lines(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            yield number, f"is not JSON ({error})"
            continue
        yield number, row if isinstance(row, dict) else "is not a JSON object"


def _csv_lines(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    rows = list(csv.DictReader(text.splitlines(keepends=True)))
    columns = {name for row in rows for name in row if isinstance(name, str)}
    types = {name: _column_type([row.get(name) for row in rows]) for name in columns}
    for name in ("file_name", "text", "caption"):
        types[name] = str
    for number, row in enumerate(rows, start=2):
        if None in row:
            yield number, "has more cells than the header"
            continue
        yield number, {name: types[name](cell) for name, cell in row.items() if cell}


def _column_type(cells: list[str | None]) -> Callable[[str], Any]:
    """Numbers if every filled cell of the column is one, else strings."""
    for convert in (int, float):
        try:
            values = [convert(cell) for cell in cells if cell]
        except ValueError:
            continue
        if values and all(abs(value) != float("inf") and value == value for value in values):
            return convert
    return str
