"""`ParquetTable`: a Parquet file of a stranger, row by row, in bounded batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

from unisem.readers.parquet_pages import size_of_pages
from unisem.readers.tables import Row, Rows, TableError

MISSING = "reading Parquet needs pip install 'unisem[parquet]'"
_ROWS_AT_ONCE = 1000
_MOST_AT_ONCE = 1 << 28  # bytes of a column, if every row were all of its row group's
_MOST_BYTES = 1 << 31  # of a column in a row group: no honest writer makes such
_MOST_IN_LISTS = 1 << 24  # values of lists in a row group, which may all be one row's
_BUFFER = 1 << 20


class ParquetTable:
    """A file's columns, and the rows of those that are wanted.

    What the footer says is not believed: by its pages' own headers a row group must not have more
    than 2 GiB of a column, nor more than 16,777,216 values in its lists, and there must be as many
    rows as it says. A text that a list has many times is in memory once.

    Args:
        file: Open, seekable.

    Raises:
        TableError: It is no Parquet file.
        ImportError: pyarrow is missing; see `MISSING`.
    """

    def __init__(self, file: BinaryIO) -> None:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        self._raw = file
        self._faults = (
            pa.ArrowException,
            OSError,
            ValueError,
            EOFError,
            OverflowError,
            RecursionError,
            MemoryError,
        )
        try:
            about = parquet.read_metadata(file)
            leaves = [about.schema.column(number) for number in range(about.num_columns)]
            self._in_lists = {leaf.path for leaf in leaves if leaf.max_repetition_level}
            file.seek(0)
            self._file: Any = parquet.ParquetFile(
                file,
                metadata=about,
                read_dictionary=sorted(
                    leaf.path
                    for leaf in leaves
                    if leaf.max_repetition_level and leaf.physical_type == "BYTE_ARRAY"
                ),
                pre_buffer=False,
                buffer_size=_BUFFER,
            )
            self.columns: list[str] = list(self._file.schema_arrow.names)
        except self._faults as error:
            raise TableError(f"is not a Parquet file: {error}") from error

    def rows(self, columns: Sequence[str]) -> Rows:
        """Each row with its number, from 1, or what is wrong with it.

        Args:
            columns: Of `columns`; only these are read.

        Raises:
            TableError: The file is damaged, or says of itself what is not so.
        """
        number = 0
        try:
            at_once = self._rows_at_once(set(columns))
            for batch in self._file.iter_batches(batch_size=at_once, columns=list(columns)):
                for row in _listed(batch):
                    number += 1
                    yield number, row
        except self._faults as error:
            if isinstance(error, TableError):
                raise
            raise TableError(f"is damaged behind row {number:,}: {error}") from error
        if number != (told := self._file.metadata.num_rows):
            raise TableError(f"has {number:,} rows, not {told:,} as it says")

    def _rows_at_once(self, columns: set[str]) -> int:
        """Few enough that they fit, though each were as long as a column of its row group.

        One value that a file has once may be every row's: a dictionary of a megabyte in a file of
        some kilobytes would be as many megabytes as rows are read.
        """
        about = self._file.metadata
        longest = 1
        for group in (about.row_group(number) for number in range(about.num_row_groups)):
            chunks = [group.column(number) for number in range(group.num_columns)]
            for chunk in chunks:
                name = chunk.path_in_schema
                if name.partition(".")[0] not in columns:
                    continue
                start = chunk.data_page_offset
                if chunk.dictionary_page_offset:
                    start = min(start, chunk.dictionary_page_offset)
                size, values = size_of_pages(self._raw, start, chunk.num_values)
                limits = [(size, _MOST_BYTES, "bytes")]
                if name in self._in_lists:
                    limits.append((values, _MOST_IN_LISTS, "values"))
                for found, limit, what in limits:
                    if found > limit:
                        raise TableError(
                            f"has a row group with {found:,} {what} of {name!r}, above the limit "
                            f"of {limit:,}; write it in smaller row groups"
                        )
                longest = max(longest, size)
        return max(1, min(_ROWS_AT_ONCE, _MOST_AT_ONCE // longest))


def _listed(batch: Any) -> list[Row | str]:
    """A batch's rows, or of those with a text that is none what is wrong with them."""
    try:
        columns = [_values(column) for column in batch.columns]
        whole: list[Row | str] = [
            dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True)
        ]
    except UnicodeDecodeError:
        if len(batch) == 1:
            return ["is not UTF-8 text"]
        return [row for place in range(len(batch)) for row in _listed(batch.slice(place, 1))]
    return whole


def _values(array: Any) -> list[Any]:
    """As ``array.to_pylist()``, but texts that lists have many times are one object."""
    import pyarrow as pa

    kind = array.type
    if pa.types.is_dictionary(kind):
        texts, places = array.dictionary, array.indices
        known = {place: texts[place].as_py() for place in places.unique().drop_null().to_pylist()}
        return [known.get(place) for place in places.to_pylist()]
    if pa.types.is_struct(kind):
        fields = [_values(field) for field in array.flatten()]
        names = [field.name for field in kind]
        return [
            dict(zip(names, row, strict=True)) if there else None
            for there, *row in zip(array.is_valid().to_pylist(), *fields, strict=True)
        ]
    if pa.types.is_map(kind):
        return [
            None if items is None else [(item["key"], item["value"]) for item in items]
            for items in _lists(array)
        ]
    return _lists(array) if pa.types.is_nested(kind) else array.to_pylist()


def _lists(array: Any) -> list[list[Any] | None]:
    return [_values(scalar.values) if scalar.is_valid else None for scalar in array]
