"""`Column`: a metadata field of all records, as codes; `RecordTable`: whom a selection chooses.

A comparison is decided once for each distinct value, by the function that defines its meaning,
and looked up for each record. With few distinct values that is next to nothing; where every record
has its own, equality goes through a dictionary and order through one NumPy comparison.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
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

    def __init__(self) -> None:
        self._codes = GrowingArray(np.empty(0, np.int32))
        self._values: list[Any] = [None]  # by code; the first stands for a missing field
        self._code_of: dict[tuple[str, Any], int] = {}
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
        fresh = self._values[len(self._numbers.view) :]
        if fresh:
            self._numbers.append(np.array([self._number(value) for value in fresh]))

    def mask(self, comparison: Comparison, length: int) -> Mask:
        """``(length,)``: for which of the first records the comparison holds."""
        table = self._decide(comparison)
        decided: Mask = table.take(self._codes.view[:length])
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
            for value in wanted if several else (wanted,):
                code = self._code_of.get((kind(value), value))
                if code is not None:
                    table[code] = True
            return ~table if operator in (Operator.NE, Operator.NOT_IN) else table
        if operator in _ORDER and kind(wanted) == "number" and self._exact and _is_exact(wanted):
            with np.errstate(invalid="ignore"):
                ordered: Mask = _ORDER[operator](self._numbers.view[:count], float(wanted))
            return ordered
        decided = (compare(operator, True, value, wanted) for value in self._values[1:])
        missing = compare(operator, False, None, wanted)
        return np.fromiter((missing, *decided), np.bool_, count)

    def _code(self, value: Any) -> int:
        name = kind(value)
        key = (name, json.dumps(value, sort_keys=True) if name == "other" else value)
        code = self._code_of.get(key)
        if code is None:
            code = self._code_of[key] = len(self._values)
            self._values.append(value)
        return code

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
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._columns: dict[str, Column] = {}
        self._pictures = Column()

    def choose(self, selection: Selection, snapshot: Snapshot) -> Mask:
        """``(records,)``: which of a snapshot's living records a selection chooses."""
        length = len(snapshot.rows)
        mask: Mask = snapshot.alive.copy()
        if selection.ids is not None or selection.source_ids is not None:
            named = Selection(ids=selection.ids, source_ids=selection.source_ids)
            listed = np.zeros(length, np.bool_)
            listed[snapshot.ordinals(self._catalog.rows(named))] = True
            mask &= listed
        if selection.modality is not None:
            self._extend(self._pictures, None, snapshot)
            mask &= self._pictures.equals(selection.modality, length)
        if selection.filter is not None:
            for field in fields_of(selection.filter):
                self._extend(self._columns.setdefault(field, Column()), field, snapshot)
            mask &= evaluate(selection.filter, self._columns, length)
        return mask

    def _extend(self, column: Column, field: str | None, snapshot: Snapshot) -> None:
        if len(column) >= len(snapshot.rows):
            return
        after = int(snapshot.rows[len(column) - 1]) if len(column) else -1
        rows, values = self._catalog.values(field, after, int(snapshot.rows[-1]))
        places = np.searchsorted(snapshot.rows, rows)
        column.extend(places, values, len(snapshot.rows))
