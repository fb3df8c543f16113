"""`ColumnFile`: the columns of all records on disk, so that a filter's first use reads no record.

What a row of the catalogue says never changes: a record that is updated gets a new row. So columns
hold for as long as there is the row, whatever was written since, and need not be of the same write
as the segment.

``columns-N.bin`` has the rows and, for each field, every record's code and the list of distinct
values; ``columns.json``, its seal, says where, with a checksum of each part, and names the write of
the catalogue after which all that was so. The first is written whole under a temporary name and
renamed, and never over another; the seal comes last. Each part is checked when it is first read.
What does not agree is read from the catalogue instead.
"""

from __future__ import annotations

import json
import logging
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import xxhash
from numpy.typing import NDArray

from unisem.common.atomic_files import publish
from unisem.common.json_values import kind
from unisem.common.owned import is_own_file
from unisem.errors import StoreError
from unisem.filters import SOURCE
from unisem.stores.faiss.moments import Moment
from unisem.stores.faiss.upgrades import FORMAT

SEAL = "columns.json"
"""The file that says what is where in the other."""
MODALITY = "\0modality"
"""The field that stands for ``Record.modality``; no metadata can have a key with NUL."""
_OLD = re.compile(r"columns-\d+(-\d+)?\.bin")
_UNFINISHED = re.compile(r"\.columns(-\d+)*\.(bin|json)\.tmp")
FEWEST = 1000
"""Records from which a file is worth writing."""
_MOST_FIELDS = 64
_MOST_LEFT_OUT = 1000  # fields that are named as left out; with more, any may be one
_MOST_VALUES = 1 << 20  # distinct ones of a field
_MOST_CHARACTERS = 1 << 26  # of a field's distinct values together
_SCALAR = 20  # characters that a number counts as
_MOST_SORTED = 1 << 16  # distinct values that are worth sorting
_RANKS = ("null", "boolean", "number", "string", "other")

Line = tuple[int, str, str | None, Mapping[str, Any]]
"""A record's row, modality, source and metadata."""
Coded = tuple[NDArray[np.int32], list[Any]]
"""Codes by record, 0 where the field is missing, and the values of the codes from 1 on."""

_log = logging.getLogger(__name__)


def code_key(value: Any) -> Any:
    """What two JSON values have in common if they are the same to a filter, or the same JSON.

    >>> code_key(1) == code_key(1.0), code_key(1) == code_key(True), code_key([1]) == code_key([1])
    (True, False, True)
    """
    if type(value) is str or type(value) is int or type(value) is float:
        return value
    name = kind(value)
    return name, json.dumps(value, sort_keys=True) if name == "other" else value


@dataclass(slots=True)
class _Field:
    """A field as it is read: who has it, and with which code."""

    places: array[int] = field(default_factory=lambda: array("i"))
    codes: array[int] = field(default_factory=lambda: array("i"))
    values: list[Any] = field(default_factory=list)
    code_of: dict[Any, int] = field(default_factory=dict)
    characters: int = 0

    def has_room(self, key: Any) -> bool:
        """Whether one more distinct value, of this `code_key`, is within the limits."""
        match key:
            case str():
                size = len(key)
            case ("other", str(text)):
                size = len(text)
            case _:
                size = _SCALAR
        self.characters += size
        return len(self.values) < _MOST_VALUES and self.characters <= _MOST_CHARACTERS

    def code(self, key: Any, value: Any) -> int:
        """A code for a value that had none."""
        self.values.append(value)
        self.code_of[key] = len(self.values)
        return len(self.values)

    def coded(self, length: int) -> Coded:
        """By record; values in order, so that a range of them is a range of codes."""
        codes = np.zeros(length, np.int32)
        if not self.values:
            return codes, []
        codes[np.frombuffer(self.places, np.int32)] = np.frombuffer(self.codes, np.int32)
        if len(self.values) > _MOST_SORTED:
            return codes, self.values
        order = sorted(range(len(self.values)), key=lambda place: _rank(self.values[place]))
        renamed = np.zeros(len(order) + 1, np.int32)
        renamed[np.array(order) + 1] = np.arange(1, len(order) + 1)
        return renamed[codes], [self.values[place] for place in order]


def _rank(value: Any) -> tuple[int, Any]:
    name = kind(value)
    comparable = json.dumps(value, sort_keys=True) if name == "other" else value
    return _RANKS.index(name), 0 if value is None else comparable


class ColumnMaker:
    """Columns of the scalars and lists of records, as they are read.

    Fields beyond the limits, and those with a dot in their names, which may be paths, are left out.

    Args:
        records: By ascending row.
    """

    def __init__(self, records: Iterable[Line]) -> None:
        rows = array("q")
        self.fields = {MODALITY: _Field(), SOURCE: _Field()}
        self.left_out: set[str] | None = set()
        for place, (row, modality, source, metadata) in enumerate(records):
            rows.append(row)
            self._take(place, MODALITY, modality)
            if source is not None:
                self._take(place, SOURCE, source)
            for name, value in metadata.items():
                self._take(place, name, value)
        self.rows: NDArray[np.int64] = np.array(rows, np.int64)

    def _take(self, place: int, name: str, value: Any) -> None:
        known = self.fields.get(name)
        if known is None:
            known = self._begun(name)
            if known is None:
                return
        key = code_key(value)
        code = known.code_of.get(key)
        if code is None:
            if not known.has_room(key):
                self._leave_out(name)
                return
            code = known.code(key, value)
        known.places.append(place)
        known.codes.append(code)

    def _begun(self, name: str) -> _Field | None:
        if "." in name or (self.left_out is not None and name in self.left_out):
            return None
        if self.left_out is None or len(self.fields) >= _MOST_FIELDS:
            self._leave_out(name)
            return None
        begun = self.fields[name] = _Field()
        return begun

    def _leave_out(self, name: str) -> None:
        self.fields.pop(name, None)
        if self.left_out is not None:
            self.left_out.add(name)
            if len(self.left_out) > _MOST_LEFT_OUT:
                self.left_out = None

    def coded(self) -> Iterator[tuple[str, Coded]]:
        """Every field by name."""
        for name, known in self.fields.items():
            yield name, known.coded(len(self.rows))

    def save(self, directory: Path, moment: Moment) -> None:
        """Write the file and its seal, then remove those of before.

        Args:
            directory: The store's.
            moment: The write of the catalogue after which the records were read.

        Raises:
            StoreError: The disk refused; the columns before are still there.
        """
        name = ""
        try:
            name = self._write(directory, moment)
        except OSError as error:
            raise StoreError(f"{directory}: the columns could not be written ({error})") from error
        finally:
            for path in directory.iterdir():
                old = name and path.name != name and _OLD.fullmatch(path.name)
                if (old or _UNFINISHED.fullmatch(path.name)) and is_own_file(path):
                    with suppress(OSError):
                        path.unlink()

    def _write(self, directory: Path, moment: Moment) -> str:
        path = _free_name(directory, f"columns-{moment.transaction}")
        fields = {}
        with _finished(path) as file:
            rows = _written(file, self.rows.astype("<i8").tobytes())
            for name, (codes, values) in self.coded():
                listed = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
                text = listed.encode(errors="surrogatepass")  # JSON may have half a pair
                fields[name] = {
                    "codes": _written(file, codes.astype("<i4").tobytes()),
                    "values": _written(file, text),
                }
            size = file.tell()
        seal = {
            "format": FORMAT,
            "epoch": moment.epoch,
            "transaction": moment.transaction,
            "file": path.name,
            "bytes": size,
            "rows": rows,
            "fields": fields,
            "left out": None if self.left_out is None else sorted(self.left_out),
        }
        with _finished(directory / SEAL) as file:
            file.write(json.dumps(seal | {"seal": _digest(seal)}, indent=1).encode() + b"\n")
        return path.name


class ColumnFile:
    """A sealed file of columns, mapped.

    Attributes:
        moment: The write of the catalogue after which it was so.
        rows: ``(n,)`` int64, ascending: the records' rows.
        fields: The names of its columns.
    """

    def __init__(self, directory: Path, seal: Mapping[str, Any]) -> None:
        path = directory / Path(seal["file"]).name
        self.moment = Moment(str(seal["epoch"]), int(seal["transaction"]))
        self._data: NDArray[np.uint8] = np.memmap(path, np.uint8, mode="r")
        if len(self._data) != seal["bytes"]:
            raise ValueError("it is not as long as it was")
        self._parts: dict[str, Any] = dict(seal["fields"])
        self._left_out = None if seal["left out"] is None else frozenset(seal["left out"])
        self._directory = directory
        self.fields = tuple(self._parts)
        self.rows: NDArray[np.int64] = self._part(seal["rows"]).view("<i8")
        if (self.rows[1:] <= self.rows[:-1]).any():
            raise ValueError("its rows do not ascend")

    @classmethod
    def load(cls, directory: Path) -> ColumnFile | None:
        """Map the sealed file, or return ``None`` if it is missing or does not agree."""
        try:
            seal = json.loads((directory / SEAL).read_text(encoding="utf-8"))
            if seal.pop("seal") != _digest(seal) or seal["format"] != FORMAT:
                return None
            return cls(directory, seal)
        except (OSError, ValueError, LookupError, OverflowError, MemoryError):
            return None
        except (TypeError, AttributeError, RecursionError):
            return None

    def read(self, name: str) -> Coded | None:
        """The column of a field, checked; ``None`` if it must be read from the catalogue."""
        parts = self._parts.get(name)
        if parts is None:
            if "." in name or self._left_out is None or name in self._left_out:
                return None
            return np.zeros(len(self.rows), np.int32), []  # no record has it
        try:
            codes: NDArray[np.int32] = self._part(parts["codes"]).view("<i4")
            values = json.loads(bytes(self._part(parts["values"])))
            if not isinstance(values, list) or len(codes) != len(self.rows):
                raise ValueError("it is of other records")
            if len(codes) and not (int(codes.min()) >= 0 and int(codes.max()) <= len(values)):
                raise ValueError("it has codes without values")
        except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
            _log.warning(
                "%s: the column of the field %r is damaged (%s) and is read from the catalogue; "
                "compact the space to write it anew",
                self._directory,
                name,
                error,
            )
            return None
        return codes, values

    def aligned(self, codes: NDArray[np.int32], rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """Codes of those of some ascending rows that are not newer than the file, by their places.

        Rows that it lacks had been removed before it was written.
        """
        if not len(self.rows):
            return codes
        rows = rows[: np.searchsorted(rows, self.rows[-1], side="right")]
        if np.array_equal(rows, self.rows):
            return codes
        places = np.searchsorted(self.rows, rows)
        return np.where(self.rows[places] == rows, codes[places], 0).astype(np.int32, copy=False)

    def _part(self, part: Mapping[str, Any]) -> NDArray[np.uint8]:
        start, size = int(part["at"]), int(part["bytes"])
        if not 0 <= start <= start + size <= len(self._data):
            raise ValueError("a part lies beyond its end")
        found = self._data[start : start + size]
        if xxhash.xxh3_128_hexdigest(found.data) != part["xxh3"]:
            raise ValueError("a part does not agree with its checksum")
        return found


def _written(file: BinaryIO, data: bytes) -> dict[str, Any]:
    """Append a part at a place where numbers may lie; say where, and its checksum."""
    file.write(bytes(-file.tell() % 8))
    start = file.tell()
    file.write(data)
    return {"at": start, "bytes": len(data), "xxh3": xxhash.xxh3_128_hexdigest(data)}


def _digest(seal: Mapping[str, Any]) -> str:
    return xxhash.xxh3_128_hexdigest(json.dumps(seal, sort_keys=True).encode())


def _free_name(directory: Path, stem: str) -> Path:
    """A name that no file has: the present seal may name another of the same write."""
    names = (f"{stem}-{number}.bin" if number else f"{stem}.bin" for number in count())
    return next(path for name in names if not (path := directory / name).exists())


@contextmanager
def _finished(path: Path) -> Iterator[BinaryIO]:
    """Open a file to be written that has its name once it is whole and safe from a power cut."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        yield file
    publish(temporary, path)
