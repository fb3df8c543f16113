"""Selections and filters compiled to SQL conditions over the ``records`` table.

Keys and values travel as bound parameters only; nothing that a user wrote becomes SQL. The
meaning is that of `unisem.filters.matches`, which the tests use as the oracle.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from unisem.errors import FilterError
from unisem.filters import And, Comparison, Filter, Not, Operator, Or, kind
from unisem.stores.selection import Selection

Condition = tuple[str, list[Any]]
"""SQL text and the parameters it binds, in order."""

_ORDER = {Operator.GT: ">", Operator.GE: ">=", Operator.LT: "<", Operator.LE: "<="}
_TYPES = {
    "boolean": "('true', 'false')",
    "number": "('integer', 'real')",
    "string": "('text')",
    "null": "('null')",
}


def compile_selection(selection: Selection) -> Condition:
    """Return the condition that holds for exactly the selected rows."""
    parts: list[Condition] = []
    for column, values in (("id", selection.ids), ("source_id", selection.source_ids)):
        if values is not None:
            # One parameter however many ids: SQLite limits the number of parameters.
            text = f"({column} IN (SELECT value FROM json_each(?)))"
            parts.append((text, [_as_list(values)]))
    if selection.modality is not None:
        parts.append(("(modality = ?)", [selection.modality]))
    if selection.filter is not None:
        parts.append(compile_filter(selection.filter))
    return _joined(parts, "AND", "TRUE")


def compile_filter(condition: Filter) -> Condition:
    """Return the condition that holds for exactly the rows whose metadata match."""
    match condition:
        case And(parts):
            return _joined([compile_filter(part) for part in parts], "AND", "TRUE")
        case Or(parts):
            return _joined([compile_filter(part) for part in parts], "OR", "FALSE")
        case Not(part):
            text, parameters = compile_filter(part)
            return f"NOT {text}", parameters
        case Comparison(field, operator, value):
            return _compare(field, operator, value)
    raise FilterError(f"{condition!r} is no filter")


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
    comparison = f"f.type IN {_TYPES[kind(value)]} AND f.value {_ORDER[operator]} ?"
    return _field(field, comparison, [_bound(value)])


def _field(field: str, condition: str, parameters: Sequence[Any]) -> Condition:
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
    return f"({alias}.type IN {_TYPES[kind(value)]} AND {alias}.value = ?)", [_bound(value)]


def _equal_any(alias: str, values: Sequence[Any]) -> Condition:
    """One condition and one parameter for each type, however many values there are."""
    by_kind: dict[str, list[Any]] = {}
    for value in values:
        by_kind.setdefault(kind(value), []).append(_bound(value))
    parts: list[Condition] = []
    for name, group in by_kind.items():
        if name == "null":
            parts.append(_equal(alias, None))
        else:
            text = (
                f"({alias}.type IN {_TYPES[name]}"
                f" AND {alias}.value IN (SELECT value FROM json_each(?)))"
            )
            parts.append((text, [_as_list(group)]))
    return _joined(parts, "OR", "FALSE")


def _as_list(values: Sequence[Any]) -> str:
    """What ``json_each`` takes apart; a string with NUL, which nothing has, would lose its end."""
    return json.dumps([it for it in values if not (isinstance(it, str) and "\0" in it)])


def _bound(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return value


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
