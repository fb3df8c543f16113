"""`size_of_pages`: how large a column's pages of a Parquet file are, by their own headers.

The footer's sums are believed by nobody and checked by nobody; a page's header is what a reader
makes the room by, into which the page must fit. Source: Apache Parquet's ``parquet.thrift``, in
Thrift's compact protocol.
"""

from __future__ import annotations

import os
from typing import Any, BinaryIO

_DEEPEST = 16  # structs in structs; a page's header has three
_PAGES = {0: 5, 3: 8}  # kinds of pages that have rows, and where their header is in the page's
_LENGTHS = {3: 1, 7: 8}  # of a byte and of a double


def size_of_pages(file: BinaryIO, start: int, values: int) -> tuple[int, int]:
    """The uncompressed bytes, and the values, of all pages from a place until there are so many.

    Args:
        file: Seekable; only headers are read.
        start: Where the first page's header begins.
        values: How many the column has, empty ones among them, and each one of a list.

    Raises:
        ValueError: A header is none.
        EOFError: The file ends before there are so many.
    """
    whole = seen = 0
    file.seek(start)
    while seen < values:
        header = _struct(file)
        unpacked, packed = header.get(2), header.get(3)
        if not (isinstance(unpacked, int) and isinstance(packed, int)) or min(unpacked, packed) < 0:
            raise ValueError("a page does not say how large it is")
        whole += max(unpacked, packed)
        for kind, field in _PAGES.items():
            rows = header.get(field) if header.get(1) == kind else None
            if isinstance(rows, dict) and isinstance(count := rows.get(1), int):
                seen += max(0, count)
        file.seek(packed, os.SEEK_CUR)
    return whole, seen


def _struct(file: BinaryIO, depth: int = 0) -> dict[int, Any]:
    """The whole numbers and structs of a struct by their fields; all else is passed over."""
    if depth > _DEEPEST:
        raise ValueError("a page's header is nested too deep")
    found: dict[int, Any] = {}
    field = 0
    while kind := _byte(file):
        field = field + (kind >> 4) if kind >> 4 else _number(file)
        if kind & 15 not in (1, 2):  # a truth that is its own kind
            found[field] = _value(file, kind & 15, depth)
    return found


def _value(file: BinaryIO, kind: int, depth: int) -> Any:
    match kind:
        case 4 | 5 | 6:
            return _number(file)
        case 12:
            return _struct(file, depth + 1)
        case 8:
            file.seek(_varint(file), os.SEEK_CUR)
        case 9 | 10:
            about = _byte(file)
            for _ in range(about >> 4 if about >> 4 < 15 else _varint(file)):
                _value(file, 3 if about & 15 in (1, 2) else about & 15, depth)
        case _ if kind in _LENGTHS:
            for _ in range(_LENGTHS[kind]):
                _byte(file)
        case _:
            raise ValueError(f"a page's header has a value of the kind {kind}")
    return None


def _number(file: BinaryIO) -> int:
    bits = _varint(file)
    return (bits >> 1) ^ -(bits & 1)


def _varint(file: BinaryIO) -> int:
    bits = 0
    for place in range(0, 63, 7):
        byte = _byte(file)
        bits |= (byte & 127) << place
        if byte < 128:
            return bits
    raise ValueError("a page's header has a number that is too long")


def _byte(file: BinaryIO) -> int:
    if not (found := file.read(1)):
        raise EOFError("the file ends in a page's header")
    return found[0]
