"""Pairs of a table: JSONL, CSV, TSV, Parquet.

The usual table has a column of paths and one of captions; their names are open_clip's by default,
``filepath`` and ``title``. In JSONL and Parquet a caption may be a list of captions of the one
picture. What a table of other kinds of pairs has is in `unisem.pairs.sources.sides`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from unisem.common.skipped import Skipped
from unisem.errors import TrainingError
from unisem.images.reference import ImageRef
from unisem.pairs.pair import Pair, ReadPairs
from unisem.pairs.sources.sides import TRIPLET, pair_of_row, says_sides, triplet_columns
from unisem.readers.parquet_tables import MISSING, ParquetTable
from unisem.readers.tables import Row, Rows, TableError, check_columns, csv_rows, json_rows


@dataclass(frozen=True, slots=True)
class Columns:
    """How a table's columns are called.

    Attributes:
        image: The column of picture paths.
        caption: The column of captions.
        separator: What separates a CSV file's cells. If ``None``, a comma, a tab (open_clip's
            default) or a semicolon, whichever gives the header these columns.
    """

    image: str = "filepath"
    caption: str = "title"
    separator: str | None = None


def read_table(table: Path, columns: Columns, image_root: Path) -> ReadPairs:
    """Read a table's rows.

    Args:
        table: A ``.jsonl``, ``.csv``, ``.tsv`` or ``.parquet`` file; text files are UTF-8.
        columns: The names of its columns.
        image_root: The folder that paths are relative to; one that leads outside is refused when
            the picture is opened.

    Raises:
        TrainingError: The file cannot be read, or lacks the columns.
    """
    pairs: list[Pair] = []
    skipped: list[Skipped] = []
    root = image_root.resolve()
    try:
        with table.open("rb") as file:
            for where, row in _rows(table, file, columns):
                found = row if isinstance(row, str) else _found(row, columns, root)
                if isinstance(found, str):
                    skipped.append(Skipped(f"{table}:{where}", found))
                else:
                    pairs += found
    except TableError as error:
        raise TrainingError(f"{table} {error}. Name the columns of paths and captions") from None
    except (OSError, ValueError) as error:
        raise TrainingError(f"{table} cannot be read: {' '.join(str(error).split())}") from error
    return tuple(pairs), tuple(skipped)


def _rows(table: Path, file: BinaryIO, columns: Columns) -> Rows:
    needed = [columns.image, columns.caption]
    match table.suffix.lower():
        case ".jsonl":
            return json_rows(file)
        case ".parquet":
            return _parquet(file, needed)
        case suffix:
            usual = ("\t", ",", ";") if suffix == ".tsv" else (",", "\t", ";")
            return _csv(table, file, needed, (columns.separator,) if columns.separator else usual)


def _csv(table: Path, file: BinaryIO, needed: Sequence[str], separators: Sequence[str]) -> Rows:
    try:
        yield from csv_rows(file, needed, separators)
    except TableError as error:  # its header lacks these
        with table.open("rb") as again:
            rows = csv_rows(again, TRIPLET, separators)
            try:
                first = next(rows, None)
            except TableError:
                raise error from None
            if first is not None:
                yield first
                yield from rows


def _found(row: Row, columns: Columns, root: Path) -> list[Pair] | str:
    if columns.image in row or not says_sides(row):
        return _pairs_of(row, columns, root)
    pair = pair_of_row(row, root)
    return pair if isinstance(pair, str) else [pair]


def _pairs_of(row: Row, columns: Columns, root: Path) -> list[Pair] | str:
    name, captions = row.get(columns.image), row.get(columns.caption)
    if not isinstance(name, str) or not name:
        return f'has no "{columns.image}"'
    if isinstance(captions, str):
        captions = [captions]
    if not isinstance(captions, list) or not all(isinstance(text, str) for text in captions):
        return f'"{columns.caption}" must be a string or a list of strings'
    image = ImageRef(path=root / name, root=root)
    return [Pair.of(image, caption, name) for caption in captions]


def _parquet(file: BinaryIO, needed: Sequence[str]) -> Rows:
    try:
        table = ParquetTable(file)
    except ImportError:
        raise TrainingError(MISSING) from None
    names = table.columns
    if set(TRIPLET) <= set(names) and not set(needed) <= set(names):
        needed = triplet_columns(names)
    check_columns(names, needed)
    yield from table.rows(needed)
