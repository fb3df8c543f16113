"""The layout ``parquet``: ``records.parquet`` and ``vectors.parquet``, through pyarrow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unisem.errors import ExchangeError
from unisem.exchange.entries import FIELDS, EntryWriter, VectorRow, flattened
from unisem.records import Vector, VectorKind

_BATCH = 1024
_JSON = ("image", "metadata", "links", "payload")  # columns that hold JSON


def require_pyarrow() -> None:
    """Say how to install pyarrow where it is missing.

    Raises:
        ExchangeError: It is missing.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ExchangeError(
            "the layout parquet needs pyarrow; install it with pip install 'unisem[parquet]', or "
            "use the layout jsonl"
        ) from error


class ParquetWriter(EntryWriter):
    """Writes the layout batch by batch; see `unisem.exchange.entries.EntryWriter`.

    Args:
        directory: An existing folder.
        dimension: Length of the vectors; ``None`` if there are none.
    """

    def __init__(self, directory: Path, dimension: int | None) -> None:
        require_pyarrow()
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._dimension = dimension or 1
        self._rows_schema = pa.schema(
            [
                pa.field("record", pa.string(), nullable=False),
                pa.field("modality", pa.string(), nullable=False),
                pa.field("vector", pa.list_(pa.float32(), self._dimension), nullable=False),
            ]
        )
        self._schema = pa.schema([pa.field(name, pa.string()) for name in FIELDS])
        self._records_file = pq.ParquetWriter(directory / "records.parquet", self._schema)
        self._vectors_file = pq.ParquetWriter(
            directory / "vectors.parquet", self._rows_schema, compression="none"
        )
        self._records: list[dict[str, Any]] = []
        self._rows: list[tuple[str, VectorKind, Vector]] = []

    def add(self, fields: dict[str, Any], vectors: dict[VectorKind, Vector]) -> None:
        """Write one record with its vectors."""
        self._records.append(
            {name: _packed(fields[name]) if name in _JSON else fields[name] for name in FIELDS}
        )
        for modality, vector in flattened(vectors):
            if len(vector) != self._dimension:
                raise ExchangeError(f"record {fields['id']!r} has vectors of another dimension")
            self._rows.append((fields["id"], modality, vector))
            self.vectors += 1
        if len(self._records) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._records:
            self._records_file.write_table(pa.Table.from_pylist(self._records, self._schema))
        if self._rows:
            values = np.concatenate([vector for _, _, vector in self._rows])
            columns = [
                pa.array([record for record, _, _ in self._rows], pa.string()),
                pa.array([modality for _, modality, _ in self._rows], pa.string()),
                pa.FixedSizeListArray.from_arrays(pa.array(values), self._dimension),
            ]
            self._vectors_file.write_table(pa.Table.from_arrays(columns, schema=self._rows_schema))
        self._records, self._rows = [], []

    def __exit__(self, kind: object, *error: object) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._records_file.close()
            self._vectors_file.close()


class ParquetReader:
    """Reads the layout; see `unisem.exchange.entries.EntryReader`.

    Args:
        directory: The export.
    """

    def __init__(self, directory: Path) -> None:
        require_pyarrow()
        self._directory = directory

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Where each record stands, and its parts by name."""
        path = self._directory / "records.parquet"
        number = 0
        for batch in self._batches(path, FIELDS):
            for parts in _lists(batch, path):
                number += 1
                place = f"{path} row {number}"
                for name in _JSON:
                    parts[name] = _unpacked(parts[name], f"{place}: {name}")
                yield place, parts

    def vectors(self, count: int, dimension: int) -> Iterator[VectorRow]:
        """The vectors, in the order of their records."""
        import pyarrow as pa

        path = self._directory / "vectors.parquet"
        done = 0
        for batch in self._batches(path, ("record", "modality", "vector")):
            column = batch.column("vector")
            if column.type != pa.list_(pa.float32(), max(1, dimension)) or not count:
                raise ExchangeError(
                    f"{path} holds {column.type}, not lists of {dimension} float32 as export.json "
                    "says"
                )
            flat = column.flatten()
            if column.null_count or flat.null_count:
                raise ExchangeError(f"{path} lacks values")
            values = flat.to_numpy().reshape(len(batch), dimension)
            owners = _lists(batch.select(["record", "modality"]), path)
            for owner, row in zip(owners, values, strict=True):
                done += 1
                yield f"{path} row {done}", owner["record"], owner["modality"], np.array(row)
        if done != count:
            raise ExchangeError(f"{path} has {done} rows, not {count} as export.json says")

    def _batches(self, path: Path, columns: tuple[str, ...]) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(path) as file:
                names = file.schema_arrow.names
                if missing := [name for name in columns if name not in names]:
                    raise ExchangeError(f"{path} has no column {', '.join(missing)}")
                yield from file.iter_batches(batch_size=_BATCH, columns=list(columns))
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise ExchangeError(f"{path} cannot be read ({error})") from error


def _lists(batch: Any, path: Path) -> list[dict[str, Any]]:
    try:
        parts: list[dict[str, Any]] = batch.to_pylist()
    except (ValueError, TypeError) as error:
        raise ExchangeError(f"{path} holds what is not text ({error})") from error
    return parts


def _packed(value: Any) -> str | None:
    if value is None:
        return None
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _unpacked(value: Any, place: str) -> Any:
    if value is None:
        return None
    try:
        return json.loads(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise ExchangeError(f"{place} is not JSON ({error})") from error
