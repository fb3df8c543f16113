"""The one gate for vectors: `admit` for those to be stored, `unit` and `query_rows` for queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unisem.common.unit_vectors import unit_rows
from unisem.errors import VectorError
from unisem.records import EmbeddedRecord, Vector, VectorKind

UNIT_TOLERANCE = 1e-3
"""How far from 1 the length of a stored vector may be."""
MOST_VECTORS: dict[VectorKind, int] = {"text": 2048, "image": 1792, "both": 256}
"""How many vectors of each kind a record may have."""
_NUMBER = np.dtype(np.float32)
_LONGEST = 1e6  # no model gives vectors so long, or so short by the same factor
_FEATURES = 1 << 16  # no model gives vectors of more numbers


def unit(values: Any, what: str) -> Vector:
    """Scale a vector to length 1, as ``(d,)`` float32; one of length 1 is kept to the last bit.

    Raises:
        VectorError: Zero, not finite, or not one row of numbers; ``what`` names it.
    """
    row = _numbers(values, what)
    if row.ndim != 1 or not row.size:
        raise VectorError(f"{what} must be one row of numbers, not of shape {row.shape}")
    return unit_rows(row, what, VectorError, "; it cannot be compared")


def _storable(values: Any, what: str) -> Vector:
    """As `unit`, of a vector that is to be stored, whose length must be that of a vector.

    Raises:
        VectorError: As `unit`; or it is longer or shorter than any model's.
    """
    row = _numbers(values, what)
    scaled = unit(row, what)
    with np.errstate(over="ignore"):
        length = float(np.linalg.norm(row.astype(np.float64)))
    if not 1 / _LONGEST <= length <= _LONGEST:
        raise VectorError(f"{what} has the length {length:.3g}, as no embedding has; scale it to 1")
    return scaled


def admit(items: Sequence[EmbeddedRecord], dimension: int | None = None) -> list[EmbeddedRecord]:
    """Check the vectors of records before anything of them is stored.

    Vectors of about length 1 are kept to the bit, others are scaled to it.

    Args:
        items: The records.
        dimension: Length that their vectors must have; ``None`` for any, the same for all.

    Returns:
        The same records, each vector ``(d,)`` or ``(n, d)`` float32.

    Raises:
        VectorError: Names the record.
    """
    if _are_plain(items, dimension):
        return list(items)
    admitted: list[EmbeddedRecord] = []
    for item in items:
        name = f"record {item.record.id!r}"
        if not item.vectors:
            raise VectorError(f"{name} has no vector")
        vectors = {}
        for modality, given in item.vectors.items():
            if modality not in MOST_VECTORS:
                raise VectorError(
                    f'{name} has a vector of {modality!r}; of "text", "image" or "both"'
                )
            what = f"the {modality} vector of {name}"
            rows = _shaped(given, what, dimension, MOST_VECTORS[modality])
            dimension = rows.shape[-1]
            vectors[modality] = rows
        admitted.append(EmbeddedRecord(item.record, vectors))
    return _scaled(admitted)


def query_rows(vectors: Any) -> Vector:
    """``(n, d)`` float32 query vectors, contiguous.

    Raises:
        VectorError: Another shape, a zero, or not finite.
    """
    rows = _numbers(vectors, "query vectors")
    if rows.ndim != 2:
        raise VectorError(f"query vectors must have shape (n, d), not {rows.shape}")
    rows = np.ascontiguousarray(rows, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        squares: list[float] = np.einsum("ij,ij->i", rows, rows).tolist()
    if not all(1 / _LONGEST < square < _LONGEST for square in squares):  # which is the rule
        lengths = _lengths(rows)
        if not (np.isfinite(lengths) & (lengths > 0)).all():
            raise VectorError("a query vector is zero or not finite")
    return rows


def are_unit(rows: Vector) -> bool:
    """Whether vectors, ``(d,)`` or ``(n, d)``, are finite and of unit length."""
    return bool(np.all(np.abs(_lengths(rows) - 1) <= UNIT_TOLERANCE))  # nothing is near a NaN


def _numbers(values: Any, what: str) -> Any:
    try:
        numbers = np.asarray(values)
    except (ValueError, TypeError):  # rows of different lengths
        raise VectorError(f"{what} is no list of numbers") from None
    if numbers.dtype.kind not in "fiu":
        raise VectorError(f"{what} is no list of numbers, but of {numbers.dtype}")
    return numbers


def _shaped(given: Any, what: str, dimension: int | None, most: int) -> Vector:
    rows = _numbers(given, what)
    if rows.ndim not in (1, 2) or not rows.size:
        raise VectorError(f"{what} must have shape (d,) or (n, d), not {rows.shape}")
    if rows.ndim == 2 and len(rows) > most:
        raise VectorError(f"{what}: there are {len(rows):,}, more than {most:,}")
    if rows.shape[-1] > _FEATURES:
        raise VectorError(f"{what} has {rows.shape[-1]:,} numbers, more than {_FEATURES:,}")
    if dimension is not None:
        check_dimension(rows, what, dimension)
    checked: Vector = rows if rows.dtype == np.float32 else _narrowed(rows)
    return checked


def _are_plain(items: Sequence[EmbeddedRecord], dimension: int | None) -> bool:
    """Whether all is as encoders give it, which is the rule: one unit float32 row each."""
    shape = None if dimension is None else (dimension,)
    with np.errstate(over="ignore", invalid="ignore"):
        for item in items:
            if not item.vectors or not item.vectors.keys() <= MOST_VECTORS.keys():
                return False
            for row in item.vectors.values():
                if type(row) is not np.ndarray or row.dtype != _NUMBER or row.ndim != 1:
                    return False
                shape = shape or row.shape
                if row.shape != shape or shape[0] > _FEATURES:
                    return False
                # Of the length's square, so half the tolerance; nothing is near a NaN.
                if not abs(float(row.dot(row)) - 1) <= UNIT_TOLERANCE:
                    return False
    return True


def _narrowed(rows: Any) -> Any:
    """As float32 where that changes no more than rounding; else as they are, to be scaled first."""
    with np.errstate(over="ignore", under="ignore"):
        narrow = rows.astype(np.float32)
    return narrow if are_unit(narrow) else rows


def check_dimension(rows: Vector, what: str, dimension: int) -> None:
    """Refuse vectors of another dimension than a space's.

    Raises:
        VectorError: ``what`` names them.
    """
    given = rows.shape[-1]
    if given != dimension:
        raise VectorError(
            f"{what}: of dimension {given}. This space has vectors of dimension {dimension}, "
            f"not {given}; they come from another encoder"
        )


def _scaled(items: list[EmbeddedRecord]) -> list[EmbeddedRecord]:
    """Scale what is not of unit length; all are looked at in one go, as nearly always all are."""
    given = [rows for item in items for rows in item.vectors.values()]
    if not given or are_unit(np.concatenate([np.atleast_2d(rows) for rows in given])):
        return items
    return [
        EmbeddedRecord(
            item.record,
            {
                modality: rows if are_unit(rows) else _scaled_rows(rows, item, modality)
                for modality, rows in item.vectors.items()
            },
        )
        for item in items
    ]


def _scaled_rows(rows: Vector, item: EmbeddedRecord, modality: str) -> Vector:
    what = f"the {modality} vector of record {item.record.id!r}"
    if rows.ndim == 1:
        return _storable(rows, what)
    return np.stack([_storable(row, what) for row in rows])


def _lengths(rows: Any) -> Any:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.sqrt(np.einsum("...i,...i->...", rows, rows, dtype=np.float64))
