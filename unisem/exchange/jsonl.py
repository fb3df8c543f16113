"""The layout ``jsonl``: ``records.jsonl``, ``vectors.npy``, ``vectors.jsonl``."""

from __future__ import annotations

import json
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from unisem.errors import ExchangeError
from unisem.exchange.entries import FIELDS, EntryWriter, VectorRow, flattened
from unisem.records import Vector, VectorKind

_LONGEST = 1 << 26  # bytes of a line


class JsonLinesWriter(EntryWriter):
    """Writes the layout record by record; see `unisem.exchange.entries.EntryWriter`.

    Args:
        directory: An existing folder.
    """

    def __init__(self, directory: Path) -> None:
        self._dimension = 0
        self._records = (directory / "records.jsonl").open("wb")
        self._rows = (directory / "vectors.jsonl").open("wb")
        self._array = (directory / "vectors.npy").open("wb")
        self._start = 0

    def add(self, fields: dict[str, Any], vectors: dict[VectorKind, Vector]) -> None:
        """Write one record with its vectors."""
        self._records.write(line_of({name: fields[name] for name in FIELDS}))
        for modality, vector in flattened(vectors):
            if not self.vectors:
                self._dimension = len(vector)
                self._start = self._write_header()
            elif len(vector) != self._dimension:
                raise ExchangeError(f"record {fields['id']!r} has vectors of another dimension")
            self._array.write(vector.astype("<f4", copy=False).tobytes())
            row = {"row": self.vectors, "record": fields["id"], "modality": modality}
            self._rows.write(line_of(row))
            self.vectors += 1

    def __exit__(self, kind: object, *error: object) -> None:
        try:
            self._array.seek(0)  # now the count is known; NumPy leaves room for its digits
            end = self._write_header()
            assert self._start in (0, end)
        finally:
            for file in (self._records, self._rows, self._array):
                file.close()

    def _write_header(self) -> int:
        header = {
            "descr": "<f4",
            "fortran_order": False,
            "shape": (self.vectors, self._dimension),
        }
        np.lib.format.write_array_header_1_0(self._array, header)
        return self._array.tell()


class JsonLinesReader:
    """Reads the layout; see `unisem.exchange.entries.EntryReader`.

    Args:
        directory: The export.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Where each record stands, and its parts by name."""
        path = self._directory / "records.jsonl"
        with path.open("rb") as file:
            yield from objects(file, path)

    def vectors(self, count: int, dimension: int) -> Iterator[VectorRow]:
        """The vectors, in the order of their records."""
        array = self._open_array(count, dimension)
        path = self._directory / "vectors.jsonl"
        done = 0
        with path.open("rb") as file:
            for place, parts in objects(file, path):
                if parts.get("row") != done or done >= count:
                    raise ExchangeError(f"{place}: row must be {done} of {count}")
                yield place, parts.get("record"), parts.get("modality"), np.array(array[done])
                done += 1
        if done != count:
            raise ExchangeError(f"{path} has {done} lines for {count} vectors")

    def _open_array(self, count: int, dimension: int) -> Vector:
        """Map ``vectors.npy``, which must be plain float32: NumPy is never let near a pickle."""
        path = self._directory / "vectors.npy"
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (
            OSError,
            ValueError,
            EOFError,
            TypeError,
            SyntaxError,
            tokenize.TokenError,
        ) as error:
            if path.stat().st_size and not count:
                return np.empty((0, dimension), np.float32)  # nothing to map
            raise ExchangeError(f"{path} is no plain array of numbers ({error})") from error
        if not isinstance(array, np.ndarray) or array.dtype != np.dtype("<f4"):
            raise ExchangeError(f"{path} must hold float32 numbers")
        if array.shape != (count, dimension):
            raise ExchangeError(
                f"{path} has the shape {array.shape}, not {(count, dimension)} as export.json says"
            )
        return array


def line_of(parts: dict[str, Any]) -> bytes:
    """An object as a line of JSON."""
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode() + b"\n"


def objects(file: BinaryIO, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each line stands, and the object that it is.

    Raises:
        ExchangeError: A line is too long, or no object in JSON.
    """
    number = 0
    while line := file.readline(_LONGEST):
        number += 1
        place = f"{path} line {number}"
        if not line.endswith(b"\n") and len(line) == _LONGEST:
            raise ExchangeError(f"{place} is longer than {_LONGEST:,} bytes")
        try:
            parts = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ExchangeError(f"{place} is not JSON ({error})") from error
        if not isinstance(parts, dict):
            raise ExchangeError(f"{place} is not a JSON object")
        yield place, parts
