"""Pairs of a table with a path and a caption column: JSONL, CSV, TSV, Parquet.

The columns' names are open_clip's by default, ``filepath`` and ``title``. In JSONL and Parquet a
caption may be a list of captions of the one picture.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unisem.common.skipped import Skipped
from unisem.errors import TrainingError
from unisem.images.reference import ImageRef
from unisem.pairs.dataset import Pair, PairDataset

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Columns:
    """How a table's columns are called.

    Attributes:
        image: The column of picture paths.
        caption: The column of captions.
        separator: What separates a CSV file's cells. If ``None``, a tab in a ``.tsv`` file, a comma
            in a ``.csv`` file, or a tab there, too, if its header has one (open_clip's default).
    """

    image: str = "filepath"
    caption: str = "title"
    separator: str | None = None


def read_table(table: Path, columns: Columns, image_root: Path) -> PairDataset:
    """Read a table's rows.

    Args:
        table: A ``.jsonl``, ``.csv``, ``.tsv`` or ``.parquet`` file; text files are UTF-8.
        columns: The names of its columns.
        image_root: The folder that paths are relative to; one that leads outside is refused when
            the picture is opened.

    Raises:
        TrainingError: The file cannot be read, or lacks the columns.
    """
    readers = {".jsonl": _json_lines, ".csv": _csv, ".tsv": _csv, ".parquet": _parquet}
    pairs: list[Pair] = []
    skipped: list[Skipped] = []
    root = image_root.resolve()
    try:
        for where, row in readers[table.suffix.lower()](table, columns):
            found = row if isinstance(row, str) else _pairs_of(row, columns, root)
            if isinstance(found, str):
                skipped.append(Skipped(f"{table}:{where}", found))
            else:
                pairs += found
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrainingError(f"{table} cannot be read: {' '.join(str(error).split())}") from error
    return PairDataset(tuple(pairs), tuple(skipped))


def _pairs_of(row: Row, columns: Columns, root: Path) -> list[Pair] | str:
    name, captions = row.get(columns.image), row.get(columns.caption)
    if not isinstance(name, str) or not name:
        return f'has no "{columns.image}"'
    if isinstance(captions, str):
        captions = [captions]
    if not isinstance(captions, list) or not all(isinstance(text, str) for text in captions):
        return f'"{columns.caption}" must be a string or a list of strings'
    image = ImageRef(path=root / name, root=root)
    return [Pair(image, caption, name) for caption in captions]


def _json_lines(table: Path, columns: Columns) -> Iterator[tuple[int, Row | str]]:
    with table.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                yield number, f"is not JSON ({error})"
                continue
            yield number, row if isinstance(row, dict) else "is not a JSON object"


def _csv(table: Path, columns: Columns) -> Iterator[tuple[int, Row | str]]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        separator = columns.separator
        if separator is None:
            is_tabbed = table.suffix.lower() == ".tsv" or "\t" in file.readline()
            separator = "\t" if is_tabbed else ","
            file.seek(0)
        # Strict: else a quote that is never closed takes all rows behind it into one cell.
        rows = csv.DictReader(file, delimiter=separator, strict=True)
        _require(table, columns, rows.fieldnames or [])
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield (
                    rows.reader.line_num,
                    f"is not a row, nor are those its quotes reach over ({error})",
                )
                continue
            yield rows.line_num, "has more cells than the header" if None in row else row


def _parquet(table: Path, columns: Columns) -> Iterator[tuple[int, Row | str]]:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise TrainingError("reading Parquet needs pip install 'unisem[parquet]'") from None
    try:
        file = parquet.ParquetFile(table)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{table} is not a Parquet file: {error}") from error
    _require(table, columns, file.schema_arrow.names)
    number = 0
    for batch in file.iter_batches(columns=[columns.image, columns.caption]):
        for row in batch.to_pylist():
            number += 1
            yield number, row


def _require(table: Path, columns: Columns, found: Any) -> None:
    missing = [name for name in (columns.image, columns.caption) if name not in found]
    if missing:
        raise TrainingError(
            f"{table} has no column {' or '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, found)) or 'none'}. Name the columns of paths and captions"
        )
