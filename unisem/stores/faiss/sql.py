"""Selections and filters compiled to SQL conditions over the ``records`` table.

Keys and values travel as bound parameters only; nothing that a user wrote becomes SQL. The
meaning is that of `unisem.filters.matches`, which the tests use as the oracle.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from unisem.common.json_values import kind
from unisem.errors import FilterError
from unisem.filters import (
    SOURCE,
    And,
    Comparison,
    Filter,
    Not,
    Operator,
    Or,
    compare,
    fields_of,
    gathered,
    matches,
)
from unisem.stores.faiss.unerased import LIVING
from unisem.stores.selection import Selection

Condition = tuple[str, list[Any]]
"""SQL text and the parameters it binds, in order."""

_SIGNS = {
    Operator.EQ: "=",
    Operator.GT: ">",
    Operator.GE: ">=",
    Operator.LT: "<",
    Operator.LE: "<=",
}
_MOST = 64
"""Comparisons that SQL makes; of more it would take long to read, and Python is as fast."""
_STARTS = 16


def _digits(count: int) -> str:
    """So much of a picture's digest, as SQL that an index may call, which no function of JSON is.

    What the library writes is JSON without spaces, and a quote inside a path has a backslash.
    """
    return f'substr(image, instr(image, \'"sha256":"\') + 10, {count})'


PICTURE = _digits(_STARTS)
"""The start of a picture's digest: a whole one would make the index three times as large."""
_TYPES = {
    "boolean": "('true', 'false')",
    "number": "('integer', 'real')",
    "string": "('text')",
    "null": "('null')",
}


def compile_selection(selection: Selection) -> Condition:
    """Return the condition that holds for exactly the selected rows of records that live."""
    parts: list[Condition] = [(f"({LIVING})", [])]
    for column, values in (("id", selection.ids), ("source_id", selection.source_ids)):
        if values is not None:
            # One parameter however many ids: SQLite limits the number of parameters.
            text = f"({column} IN (SELECT value FROM json_each(?)))"
            parts.append((text, [_as_list(values)]))
    if selection.digests is not None:
        # The start is what the index knows; see `RecordRows`.
        starts = _as_list([digest[:_STARTS] for digest in selection.digests])
        text = (
            f"(image IS NOT NULL AND {PICTURE} IN (SELECT value FROM json_each(?))"
            f" AND {_digits(64)} IN (SELECT value FROM json_each(?)))"
        )
        parts.append((text, [starts, _as_list(selection.digests)]))
    if selection.modality is not None:
        parts.append(("(modality = ?)", [selection.modality]))
    if selection.filter is not None:
        parts.append(compile_filter(selection.filter))
    return _joined(parts, "AND", "TRUE")


def compile_filter(condition: Filter) -> Condition:
    """Return the condition that holds for exactly the rows whose metadata match."""
    match condition:
        case And() | Or():
            parts = gathered(condition)
            if sum(part.size for part in parts) > _MOST:
                return _in_python(condition)
            how = ("AND", "TRUE") if isinstance(condition, And) else ("OR", "FALSE")
            return _joined([compile_filter(part) for part in parts], *how)
        case Not(part):
            text, parameters = compile_filter(part)
            return f"NOT {text}", parameters
        case Comparison(field, operator, value):
            whole_list = operator in (Operator.EQ, Operator.NE) and isinstance(value, tuple)
            # A list is compared item by item, and a path followed key by key, in Python.
            if whole_list or "." in field:
                return _in_python(condition)
            return _compare(field, operator, value)
    raise FilterError(f"{condition!r} is no filter")


def _in_python(condition: Filter) -> Condition:
    source = "source_id" if SOURCE in fields_of(condition) else "NULL"
    return f"(matches(records.metadata, {source}, ?))", [json.dumps(_written(condition))]


def define_functions(database: sqlite3.Connection) -> None:
    """Give a connection the functions that compiled conditions call."""
    database.create_function("casefold", 1, str.casefold, deterministic=True)
    database.create_function("compare_exactly", 4, _compare_exactly, deterministic=True)
    database.create_function("matches", 3, _matches, deterministic=True)


def is_large(alias: str) -> str:
    """Whether a row of ``json_each`` is an integer that SQLite has rounded to a double."""
    return f"{alias}.type = 'integer' AND typeof({alias}.value) = 'real'"


def _compare_exactly(operator: str, document: str, key: str | int, wanted: str) -> bool:
    """What SQLite cannot, whose integers have 64 bits: compare a value inside JSON with others."""
    return compare(Operator(operator), True, json.loads(document)[key], json.loads(wanted))


def _matches(document: str, source: str | None, written: str) -> bool:
    metadata = json.loads(document)
    return matches(_read(written), metadata if source is None else {**metadata, SOURCE: source})


def _written(condition: Filter) -> list[Any]:
    match condition:
        case And(parts) | Or(parts):
            return [type(condition).__name__, *map(_written, parts)]
        case Not(part):
            return ["Not", _written(part)]
        case Comparison(field, operator, value):
            return [operator.value, field, value]
    raise FilterError(f"{condition!r} is no filter")


@lru_cache(maxsize=128)  # once a statement, not once a record
def _read(written: str) -> Filter:
    return _built(json.loads(written))


def _built(written: list[Any]) -> Filter:
    name, *rest = written
    match name:
        case "And" | "Or":
            return {"And": And, "Or": Or}[name](tuple(map(_built, rest)))
        case "Not":
            return Not(_built(rest[0]))
    return Comparison(rest[0], Operator(name), rest[1])


def _compare(field: str, operator: Operator, value: Any) -> Condition:
    match operator:
        case Operator.EXISTS:
            return _field(field, "TRUE", [])
        case Operator.IS_EMPTY:
            filled = (
                "NOT (f.type = 'null' OR (f.type = 'text' AND f.value = '')"
                " OR (f.type = 'array' AND json_array_length(f.value) = 0))"
            )
            text, parameters = _field(field, filled, [])
            return f"NOT {text}", parameters
        case Operator.EQ:
            return _field(field, *_equal("f", value))
        case Operator.NE:
            text, parameters = _field(field, *_equal("f", value))
            return f"NOT {text}", parameters
        case Operator.IN:
            return _field(field, *_equal_any("f", value))
        case Operator.NOT_IN:
            text, parameters = _field(field, *_equal_any("f", value))
            return f"NOT {text}", parameters
        case Operator.CONTAINS:
            return _field(field, *_item(_equal("i", value)))
        case Operator.ANY:
            return _field(field, *_item(_equal_any("i", value)))
        case Operator.ALL:
            items = [_item(_equal("i", item)) for item in value]
            return _field(field, *_joined([("(f.type = 'array')", []), *items], "AND", "TRUE"))
        case Operator.TEXT:
            return _field(field, "f.type = 'text' AND instr(f.value, ?)", [value])
        case Operator.TEXT_INSENSITIVE:
            return _field(
                field, "f.type = 'text' AND instr(casefold(f.value), ?)", [value.casefold()]
            )
    return _field(field, *_compared("f", operator, value))


def _field(field: str, condition: str, parameters: Sequence[Any]) -> Condition:
    if field == SOURCE:
        source = "(SELECT 'text' AS type, '' AS key, records.source_id AS value)"
        text = f"(source_id IS NOT NULL AND EXISTS (SELECT 1 FROM {source} AS f WHERE {condition}))"
        return text, [*parameters]
    text = (
        f"EXISTS (SELECT 1 FROM json_each(records.metadata) AS f WHERE f.key = ? AND {condition})"
    )
    return text, [field, *parameters]


def _item(condition: Condition) -> Condition:
    text, parameters = condition
    return (
        f"(f.type = 'array' AND EXISTS (SELECT 1 FROM json_each(f.value) AS i WHERE {text}))",
        parameters,
    )


def _equal(alias: str, value: Any) -> Condition:
    if value is None:
        return f"({alias}.type = 'null')", []
    return _compared(alias, Operator.EQ, value)


def _equal_any(alias: str, values: Sequence[Any]) -> Condition:
    """One condition for each type, however many values there are."""
    by_kind: dict[str, list[Any]] = {}
    for value in values:
        by_kind.setdefault(kind(value), []).append(value)
    parts: list[Condition] = []
    for name, group in by_kind.items():
        if name == "null":
            parts.append(_equal(alias, None))
        else:
            parts.append(_compared(alias, Operator.IN, group))
    return _joined(parts, "OR", "FALSE")


def _compared(alias: str, operator: Operator, wanted: Any) -> Condition:
    """Compare a row of ``json_each`` with a value, or with several of one type."""
    several = operator is Operator.IN
    name = kind(wanted[0] if several else wanted)
    one_type = f"{alias}.type IN {_TYPES[name]}"
    if several:
        text = f"{alias}.value IN (SELECT value FROM json_each(?))"
        value: Any = _as_list([int(it) if isinstance(it, bool) else it for it in wanted])
    else:
        text = f"{alias}.value {_SIGNS[operator]} ?"
        value = int(wanted) if isinstance(wanted, bool) else wanted
    if name != "number":
        return f"({one_type} AND {text})", [value]
    document = "records.metadata" if alias == "f" else "f.value"
    exactly = f"compare_exactly('{operator.value}', {document}, {alias}.key, ?)"
    exact = json.dumps(wanted)
    listed: Sequence[float] = wanted if several else [wanted]
    if not all(map(_fits, listed)):
        return f"({one_type} AND {exactly})", [exact]
    return f"({one_type} AND iif({is_large(alias)}, {exactly}, {text}))", [exact, value]


def _fits(value: float) -> bool:
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def _as_list(values: Sequence[Any]) -> str:
    """What ``json_each`` takes apart, without what nothing has and JSON cannot hold.

    A string with NUL would lose its end there, and infinity is no JSON.
    """
    return json.dumps([value for value in values if not _is_nowhere(value)])


def _is_nowhere(value: Any) -> bool:
    return "\0" in value if isinstance(value, str) else value in (math.inf, -math.inf)


def _joined(parts: list[Condition], word: str, neutral: str) -> Condition:
    """Join conditions as a balanced tree: SQLite limits how deep an expression may be."""
    if not parts:
        return neutral, []
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    left, left_parameters = _joined(parts[:middle], word, neutral)
    right, right_parameters = _joined(parts[middle:], word, neutral)
    return f"({left} {word} {right})", [*left_parameters, *right_parameters]
