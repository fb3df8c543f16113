"""Tables of strangers, row by row: CSV and JSON Lines, read strictly; a bad row costs itself.

CSV is RFC 4180: a cell may be quoted, a quote inside it is doubled, and a row ends at CR, LF or
CRLF only. A cell may be of any size. What separates cells is read from the header: a comma, a
semicolon or a tab, whichever gives it the columns that are needed, or Excel's ``sep=;`` above it.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from typing import Any, BinaryIO

from unisem.readers.texts import encoding_of
from unisem.records import MAX_INTEGER_BITS

Row = dict[str, Any]
Rows = Iterator[tuple[int, Row | str]]
"""Each row, or what is wrong with it, with the number of the line where it ends."""

_SEPARATORS = (",", ";", "\t")
_LONGEST = 1 << 24  # characters that a row may span, or a line have: memory, and quotes not closed
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_INFINITE = {float("inf"), float("-inf")}


class TableError(ValueError):
    """A table without a usable header; none of its rows can be read."""


def json_rows(file: BinaryIO) -> Rows:
    """Read JSON Lines, one object a line; empty lines are passed over.

    Args:
        file: UTF-8, or UTF-16 with its byte order mark.
    """
    for number, line in _Lines(file):
        if fault := _text_fault(line):
            yield number, fault
        elif line.strip():
            try:
                row = json.loads(line)
            except RecursionError:
                yield number, "is not JSON (its brackets are nested too deep)"
                continue
            except ValueError as error:  # also integers of thousands of digits
                yield number, f"is not JSON ({error})"
                continue
            yield number, row if isinstance(row, dict) else "is not a JSON object"


def csv_rows(
    file: BinaryIO,
    needed: Sequence[str],
    separators: Sequence[str] = _SEPARATORS,
    called: Callable[[str], str] = str,
) -> Rows:
    """Read a CSV; every cell is a string. Rows without any are passed over.

    Args:
        file: UTF-8, or UTF-16 with its byte order mark.
        needed: Columns that the header must have.
        separators: What may separate cells; the first that gives the header what is needed does.
        called: What a column of the header is called here.

    Raises:
        TableError: The header is missing, lacks a column, has one twice, or is no text.
    """
    lines = _Lines(file)
    separator, columns = _header(lines, needed, separators, called)
    while True:
        start = lines.number + 1
        try:
            cells = _cells(lines, separator)
        except _BadRowError as error:
            reach = f" from line {start} on" if start < lines.number else ""
            yield lines.number, f"is not a row, nor is what its quotes reach over{reach} ({error})"
            continue
        if cells is None:
            return
        fault = _text_fault(separator.join(cells))
        row = {name: cell for name, cell in zip(columns, cells, strict=False) if name}
        unnamed = any(cell for name, cell in zip(columns, cells, strict=False) if not name)
        if fault:
            yield lines.number, fault
        elif unnamed or any(cells[len(columns) :]):
            yield lines.number, "has more cells than the header"
        elif any(row.values()):
            yield lines.number, row


def typed(rows: Sequence[Row], text: Collection[str]) -> list[Row]:
    """Turn columns of numbers into numbers, and leave empty cells out.

    A column is one if each of its cells is a number as JSON writes it (``7``, ``-1.5``, ``2e3``)
    and no two different cells become equal numbers. So ``01234``, ``1_000`` and the versions
    ``1.1`` and ``1.10`` stay text.

    Args:
        rows: Of strings.
        text: Columns that stay text whatever is in them.
    """
    columns: dict[str, set[str]] = {}
    for row in rows:
        for name, cell in row.items():
            if cell:
                columns.setdefault(name, set()).add(cell)
    numbers = {name: _numbers(cells) for name, cells in columns.items() if name not in text}
    return [
        {name: numbers.get(name, {}).get(cell, cell) for name, cell in row.items() if cell}
        for row in rows
    ]


def _numbers(cells: set[str]) -> dict[str, int | float]:
    """What the different cells of a column become; nothing if they stay text."""
    if not all(map(_NUMBER.fullmatch, cells)):
        return {}
    try:
        found = {cell: json.loads(cell) for cell in cells}
    except ValueError:  # an integer of thousands of digits
        return {}
    if any(isinstance(n, int) and n.bit_length() > MAX_INTEGER_BITS for n in found.values()):
        return {}
    different = set(found.values())
    return found if len(different) == len(cells) and not different & _INFINITE else {}


class _BadRowError(ValueError):
    """Says what is wrong with one row."""


class _Lines:
    """The lines of a text file with their ends; ``number`` is that of the last one read.

    What cannot be decoded stays in its line as lone surrogates, for `_text_fault` to find.
    """

    def __init__(self, file: BinaryIO) -> None:
        encoding = encoding_of(file.read(2))
        file.seek(0)
        errors = "surrogatepass" if encoding == "utf-16" else "surrogateescape"
        self._lines = io.TextIOWrapper(file, encoding, errors, newline="")
        self._broken = False
        self.number = 0

    def __iter__(self) -> Iterator[tuple[int, str]]:
        while line := self.next():
            yield self.number, line

    def next(self) -> str:
        """Return the next line; at the end an empty string."""
        if self._broken:
            return ""
        try:
            line = self._lines.readline(_LONGEST + 1)
            if len(line) > _LONGEST and line[-1] not in "\r\n":  # its fault is found; no more of it
                while (more := self._lines.readline(_LONGEST)) and more[-1] not in "\r\n":
                    pass
        except UnicodeDecodeError:  # half a character at the end of UTF-16
            self._broken = True
            line = "\udcff"
        self.number += bool(line)
        return line


def _text_fault(text: str) -> str | None:
    if len(text) > _LONGEST:
        return f"has more than {_LONGEST:,} characters; shorten it"
    if "\0" in text:
        return "holds a NUL character; it is no text, or in an encoding that is not read"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is not UTF-8 text; save the table as UTF-8"
    return None


def _header(
    lines: _Lines,
    needed: Sequence[str],
    separators: Sequence[str],
    called: Callable[[str], str],
) -> tuple[str, list[str]]:
    line = lines.next()
    if found := re.fullmatch(r"sep=(.)\r?\n?", line):
        separators, line = (found[1],), lines.next()
    if not line.strip():
        raise TableError("has no header; its first line must name the columns")
    if fault := _text_fault(line):
        raise TableError(f"has a header that {fault}")
    headers: list[tuple[str, list[str]]] = []
    for separator in separators:
        with suppress(_BadRowError):
            names = [called(name.strip()) for name in _parsed(line, separator, lambda: "")]
            headers.append((separator, names))
    # The first one that has what is needed; if none does, the one with the most columns is named.
    good = [header for header in headers if set(needed) <= set(header[1])]
    separator, names = (good or sorted(headers, key=lambda header: -len(header[1])) or [("", [])])[
        0
    ]
    check_columns(names, needed)
    for name in filter(None, names):
        if names.count(name) > 1:
            raise TableError(f"has the column {name!r} twice")
    return separator, names


def check_columns(found: Sequence[str], needed: Sequence[str]) -> None:
    """Refuse a table that lacks a column.

    Raises:
        TableError: Names the missing columns, and those that there are.
    """
    if missing := [name for name in needed if name not in found]:
        raise TableError(
            f"has no column {' or '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, filter(None, found))) or 'none'}"
        )


def _cells(lines: _Lines, separator: str) -> list[str] | None:
    while line := lines.next():
        if line.strip("\r\n"):
            return _parsed(line, separator, lines.next)
    return None


def _parsed(line: str, separator: str, following: Callable[[], str]) -> list[str]:
    """The cells of a row that begins with a line, and goes on while a quote is open."""
    cells: list[str] = []
    place = 0
    while True:
        if line.startswith('"', place):
            cell, line, place = _quoted(line, place + 1, following)
            cells.append(cell)
            if place == len(line) or line[place] in "\r\n":
                return cells
            if not line.startswith(separator, place):
                raise _BadRowError("a closing quote is followed by more text")
            place += len(separator)
            continue
        end = line.find(separator, place)
        if end < 0:
            return [*cells, line[place:].rstrip("\r\n")]
        cells.append(line[place:end])
        place = end + len(separator)


def _quoted(line: str, place: int, following: Callable[[], str]) -> tuple[str, str, int]:
    """A quoted cell's text, the line in which it ends, and the place behind its closing quote."""
    parts: list[str] = []
    length = 0
    while True:
        end = line.find('"', place)
        if end < 0:
            parts.append(line[place:])
            length += len(parts[-1])
            line, place = following() if length < _LONGEST else "", 0
            if not line:
                raise _BadRowError("a quote is never closed")
        elif line.startswith('"', end + 1):
            parts.append(line[place : end + 1])
            place = end + 2
        else:
            return "".join([*parts, line[place:end]]), line, end + 1
