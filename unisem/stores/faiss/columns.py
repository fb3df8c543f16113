"""`Column`: a metadata field of all records, as codes; `RecordTable`: whom a selection chooses.

Columns come from a file that is written when the store is compacted or closed; what that lacks is
read from the catalogue.

A comparison is decided once for each distinct value, by the function that defines its meaning,
and looked up for each record. With few distinct values that is next to nothing; where every record
has its own, equality goes through a dictionary and order through one NumPy comparison.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisem.common.json_values import kind
from unisem.errors import FilterError
from unisem.filters import (
    And,
    Comparison,
    Filter,
    Not,
    Operator,
    Or,
    compare,
    fields_of,
    gathered,
)
from unisem.stores.faiss.catalog import Catalog
from unisem.stores.faiss.column_file import MODALITY, Coded, ColumnFile, code_key
from unisem.stores.faiss.growing_array import GrowingArray
from unisem.stores.faiss.snapshot import Snapshot
from unisem.stores.selection import Selection

_MISSING = 0  # the code of records without the field
_EXACT = 2**53  # integers up to here are exact as float64
_ORDER = {
    Operator.GT: np.greater,
    Operator.GE: np.greater_equal,
    Operator.LT: np.less,
    Operator.LE: np.less_equal,
}
Mask = NDArray[np.bool_]


class Column:
    """The values of one field by record ordinal.

    Records that were appended later extend a column; what it says of earlier ones stays.
    """

    def __init__(self, coded: Coded | None = None) -> None:
        """Begin with what was read before.

        Args:
            coded: Codes of the first records, and the values; ``None`` to begin with no record.
        """
        codes, values = (np.empty(0, np.int32), []) if coded is None else coded
        self._codes = GrowingArray(codes)
        self._values: list[Any] = [None, *values]  # by code; the first stands for a missing field
        self._code_of: dict[Any, int] | None = None  # made when a value is looked for
        self._numbers = GrowingArray(np.full(1, np.nan))  # by code; not-a-number for non-numbers
        self._exact = True

    def __len__(self) -> int:
        return len(self._codes.view)

    def extend(self, ordinals: NDArray[np.int64], values: Iterable[Any], length: int) -> None:
        """Take in the field's values of records from the present length on.

        Args:
            ordinals: Ordinals of the records that have the field, not below ``len(self)``.
            values: Their values, as JSON gives them.
            length: The number of records from now on.
        """
        codes = np.full(length - len(self), _MISSING, np.int32)
        codes[ordinals - len(self)] = np.fromiter(map(self._code, values), np.int32)
        self._codes.append(codes)

    def mask(self, comparison: Comparison, length: int) -> Mask:
        """``(length,)``: for which of the first records the comparison holds."""
        table = self._decide(comparison)
        codes: NDArray[np.int32] = self._codes.view[:length]
        held = np.flatnonzero(table)
        if not len(held):
            return np.zeros(length, np.bool_)
        if held[-1] - held[0] == len(held) - 1:  # one value, or a range of them
            first, last = int(held[0]), int(held[-1])
            if first == last:
                equal: Mask = codes == first
                return equal
            if not first:
                return codes <= last
            return codes >= first if last == len(table) - 1 else (codes >= first) & (codes <= last)
        decided: Mask = table.take(codes)
        return decided

    def equals(self, value: Any, length: int) -> Mask:
        """``(length,)``: which of the first records have exactly this value."""
        return self.mask(Comparison("", Operator.EQ, value), length)

    def _decide(self, comparison: Comparison) -> Mask:
        """For each code whether the comparison holds."""
        operator, wanted = comparison.operator, comparison.value
        count = len(self._values)
        several = operator in (Operator.IN, Operator.NOT_IN)
        whole_list = isinstance(wanted, tuple) and not several
        if not whole_list and operator in (Operator.EQ, Operator.IN, Operator.NE, Operator.NOT_IN):
            table = np.zeros(count, np.bool_)
            code_of = self._codes_by_value()
            for value in wanted if several else (wanted,):
                code = code_of.get(code_key(value))
                if code is not None:
                    table[code] = True
            return ~table if operator in (Operator.NE, Operator.NOT_IN) else table
        if operator in _ORDER and kind(wanted) == "number" and _is_exact(wanted):
            numbers = self._as_numbers()
            if numbers is not None:
                with np.errstate(invalid="ignore"):
                    ordered: Mask = _ORDER[operator](numbers, float(wanted))
                return ordered
        decided = (compare(operator, True, value, wanted) for value in self._values[1:])
        missing = compare(operator, False, None, wanted)
        return np.fromiter((missing, *decided), np.bool_, count)

    def _code(self, value: Any) -> int:
        code_of, key = self._codes_by_value(), code_key(value)
        code = code_of.get(key)
        if code is None:
            code = code_of[key] = len(self._values)
            self._values.append(value)
        return code

    def _codes_by_value(self) -> dict[Any, int]:
        if self._code_of is None:
            values = self._values[1:]
            self._code_of = {code_key(value): code for code, value in enumerate(values, 1)}
        return self._code_of

    def _as_numbers(self) -> NDArray[np.float64] | None:
        """By code; ``None`` if one is not exact as a double."""
        fresh = self._values[len(self._numbers.view) :]
        if fresh:
            self._numbers.append(np.array([self._number(value) for value in fresh]))
        return self._numbers.view if self._exact else None

    def _number(self, value: Any) -> float:
        if kind(value) != "number":
            return float("nan")
        if not _is_exact(value):
            self._exact = False
            return float("nan")
        return float(value)


def evaluate(condition: Filter, columns: dict[str, Column], length: int) -> Mask:
    """``(length,)``: for which of the first records a filter holds.

    Args:
        condition: The filter.
        columns: A column for each field that it names.
        length: How many records.
    """
    match condition:
        case And():
            return _fold(np.logical_and, gathered(condition), columns, length, start=True)
        case Or():
            return _fold(np.logical_or, gathered(condition), columns, length, start=False)
        case Not(part):
            return ~evaluate(part, columns, length)
        case Comparison(field, _, _):
            return columns[field].mask(condition, length)
    raise FilterError(f"{condition!r} is no filter")


def _fold(
    join: np.ufunc, parts: tuple[Filter, ...], columns: dict[str, Column], length: int, start: bool
) -> Mask:
    mask = np.full(length, start, np.bool_)
    for part in parts:
        join(mask, evaluate(part, columns, length), out=mask)
    return mask


def _is_exact(value: Any) -> bool:
    return isinstance(value, float) or abs(value) <= _EXACT


class RecordTable:
    """Columns of metadata by record ordinal, read from the catalogue when first needed.

    Not thread-safe by itself; the store holds a lock around it.

    Args:
        catalog: Where the records are.
        directory: Where their columns may have been written; ``None`` for memory.
    """

    def __init__(self, catalog: Catalog, directory: Path | None) -> None:
        self._catalog = catalog
        self._directory = directory
        self._columns: dict[str | None, Column] = {}
        self._file: ColumnFile | None = None
        self._is_looked_for = directory is not None

    def choose(self, selection: Selection, snapshot: Snapshot) -> Mask:
        """``(records,)``: which of a snapshot's living records a selection chooses."""
        length = len(snapshot.rows)
        mask: Mask = snapshot.alive.copy()
        named = replace(selection, filter=None, modality=None)
        if not named.is_everything:
            listed = np.zeros(length, np.bool_)
            listed[snapshot.ordinals(self._catalog.rows(named))] = True
            mask &= listed
        if selection.modality is not None:
            mask &= self._column(None, snapshot).equals(selection.modality, length)
        if selection.filter is not None:
            fields = fields_of(selection.filter)
            columns = {field: self._column(field, snapshot) for field in fields}
            mask &= evaluate(selection.filter, columns, length)
        return mask

    def _column(self, field: str | None, snapshot: Snapshot) -> Column:
        """The column of a field, or of the modality, of all records of a snapshot."""
        column = self._columns.get(field)
        if column is None:
            written = self._written(MODALITY if field is None else field, snapshot)
            column = self._columns[field] = Column(written)
        if len(column) < len(snapshot.rows):
            self._extend(column, field, snapshot)
        return column

    def _written(self, name: str, snapshot: Snapshot) -> Coded | None:
        """What the file of columns says of the snapshot's first records."""
        if self._is_looked_for:
            self._is_looked_for = False
            assert self._directory is not None
            found = ColumnFile.load(self._directory)
            if found is not None and self._catalog.knows(found.moment):
                self._file = found
        coded = None if self._file is None else self._file.read(name)
        if self._file is None or coded is None:
            return None
        codes, values = coded
        return self._file.aligned(codes, snapshot.rows), values

    def _extend(self, column: Column, field: str | None, snapshot: Snapshot) -> None:
        after = int(snapshot.rows[len(column) - 1]) if len(column) else -1
        rows, values = self._catalog.values(field, after, int(snapshot.rows[-1]))
        places = np.searchsorted(snapshot.rows, rows)
        column.extend(places, values, len(snapshot.rows))
