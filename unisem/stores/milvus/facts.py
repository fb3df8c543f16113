"""`facts_of`: a record's metadata as Milvus can filter them, and `said`: filters as it reads them.

Milvus's own comparisons of JSON differ by version where a value is missing or of another type, and
a text in an expression would have to be escaped. So a record carries *facts* instead: digests of
"the field is there", "it is a number", "it equals this", "it is a list that has this". An equality
is one fact, and what does not hold is a fact that is not there. Only order is compared by value:
numbers as doubles, strings by the start of their UTF-8 in hexadecimal. Nothing that a user or a
stranger wrote gets into an expression.

Substrings cannot be said so; nor can metadata with more facts than Milvus takes, or with integers
that no double holds. Such a record has the fact `OTHER` and is compared when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from unisem.common.json_values import kind
from unisem.filters import (
    SOURCE,
    And,
    Comparison,
    Filter,
    Not,
    Operator,
    Or,
    compare,
    gathered,
)
from unisem.records import Record

MOST_FACTS = 4096  # of Milvus, for an array
MOST_BYTES = 60_000  # of Milvus, 65,536 for a JSON value
OTHER = "*"
"""The fact of a record whose metadata Milvus cannot compare."""
EVERY, NONE = '(pk != "")', '(pk == "")'
_START = 128  # bytes of a string that are compared
_ORDER = {Operator.GT: ">", Operator.GE: ">=", Operator.LT: "<", Operator.LE: "<="}


@dataclass(frozen=True, slots=True)
class Facts:
    """What Milvus knows of a record.

    Attributes:
        facts: Digests.
        order: Numbers, and starts of strings, by field.
    """

    facts: list[str]
    order: dict[str, float | str]


def facts_of(record: Record) -> Facts:
    """What Milvus is told of a record."""
    always = {_fact("", "modality", record.modality)}
    if record.source_id is not None:
        always |= _of_value(SOURCE, record.source_id)
    if record.image is not None and record.image.sha256 is not None:
        always.add(_fact("", "picture", record.image.sha256))
    facts, order, is_whole = set(always), dict[str, float | str](), True
    for field, value in _reachable(record.metadata):
        facts |= _of_value(field, value)
        match kind(value):
            case "number":
                number = _double(value)
                is_whole = is_whole and number == value
                order[_name(field)] = number
            case "string":
                order[_name(field)] = value.encode()[:_START].hex()
    if not is_whole or len(facts) >= MOST_FACTS or len(json.dumps(order)) > MOST_BYTES:
        return Facts(sorted(always | {OTHER}), {})
    return Facts(sorted(facts), order)


def is_of_modality(modality: str) -> str:
    """The expression for records of a modality."""
    return _has(_fact("", "modality", modality))


def is_of_pictures(digests: Iterable[str]) -> str:
    """The expression for records that have one of some pictures."""
    return _any(_fact("", "picture", digest) for digest in digests)


def is_of_sources(source_ids: Iterable[str]) -> str:
    """The expression for records that were cut from one of some sources."""
    return _any(_equal(SOURCE, source) for source in source_ids)


def said(condition: Filter) -> tuple[str, bool]:
    """A filter as an expression.

    Returns:
        The expression, and whether it holds for exactly the records that the filter holds for, but
        those with the fact `OTHER`; else it holds for all of them and for more.
    """
    match condition:
        case And() | Or():
            parts = [said(part) for part in gathered(condition)]
            join, empty = (" and ", EVERY) if isinstance(condition, And) else (" or ", NONE)
            joined = f"({join.join(text for text, _ in parts)})" if parts else empty
            return joined, all(is_exact for _, is_exact in parts)
        case Not(part):
            text, is_exact = said(part)
            return (f"(not {text})" if is_exact else EVERY), is_exact
        case Comparison(field, Operator.TEXT | Operator.TEXT_INSENSITIVE, _):
            return _has(_fact(field, "string")), False
        case Comparison(field, operator, value) if operator in _ORDER:
            return _ordered(field, operator, value)
        case Comparison(field, operator, value):
            return _compared(field, operator, value), True
    raise TypeError(f"{condition!r} is no filter")


def _compared(field: str, operator: Operator, value: Any) -> str:
    match operator:
        case Operator.EXISTS:
            return _has(_fact(field, "exists"))
        case Operator.IS_EMPTY:
            return f"(not {_has(_fact(field, 'filled'))})"
        case Operator.EQ:
            return _has(_equal(field, value))
        case Operator.NE:
            return f"(not {_has(_equal(field, value))})"
        case Operator.IN:
            return _any(_equal(field, item) for item in value)
        case Operator.NOT_IN:
            return f"(not {_any(_equal(field, item) for item in value)})"
        case Operator.CONTAINS:
            return _has(_fact(field, "has", _written(value)))
        case Operator.ANY:
            return _any(_fact(field, "has", _written(item)) for item in value)
        case Operator.ALL:
            wanted = [_fact(field, "has", _written(item)) for item in value]
            return f"array_contains_all(facts, {_listed([_fact(field, 'list'), *wanted])})"
    raise TypeError(f"there is no operator {operator!r}")


def _ordered(field: str, operator: Operator, value: Any) -> tuple[str, bool]:
    match kind(value):
        case "boolean":
            others = [it for it in (False, True) if compare(operator, True, it, value)]
            return _any(_equal(field, other) for other in others), True
        case "number":
            is_number, number = _has(_fact(field, "number")), _double(value)
            sign = _ORDER[operator]
            if number > value:  # the next double: what is below the one is below the other
                sign = sign[0] if sign[0] == "<" else ">="
            elif number < value:
                sign = "<=" if sign[0] == "<" else ">"
            if abs(number) == float("inf"):
                return (is_number if (number > 0) == (sign[0] == "<") else NONE), True
            return f"({is_number} and ordered[{_quoted(_name(field))}] {sign} {number!r})", True
    is_string, start = _has(_fact(field, "string")), str(value).encode()
    if len(start) >= _START:  # what is cut off may decide
        return is_string, False
    name = _quoted(_name(field))
    return f'({is_string} and ordered[{name}] {_ORDER[operator]} "{start.hex()}")', True


def _reachable(metadata: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Every field that a filter can name, as `unisem.filters.look_up` finds it."""
    found: dict[str, Any] = {}
    waiting: list[tuple[str, Mapping[str, Any]]] = [("", metadata)]
    while waiting:
        path, inside = waiting.pop()
        for key, value in inside.items():
            if "." not in key:
                found[path + key] = value
                if isinstance(value, Mapping):
                    waiting.append((f"{path}{key}.", value))
    return (found | {**metadata}).items()  # a key with dots comes before a path


def _of_value(field: str, value: Any) -> set[str]:
    facts = {_fact(field, "exists")}
    if not compare(Operator.IS_EMPTY, True, value, None):
        facts.add(_fact(field, "filled"))
    if isinstance(value, list | tuple):
        plain = [item for item in value if kind(item) != "other"]
        facts |= {_fact(field, "list"), *(_fact(field, "has", _written(it)) for it in plain)}
        if len(plain) == len(value):
            facts.add(_equal(field, value))
    elif (of := kind(value)) != "other":
        facts |= {_equal(field, value), _fact(field, of)}
    return facts


def _equal(field: str, value: Any) -> str:
    return _fact(field, "equal", _written(value))


def _written(value: Any) -> str:
    """One spelling for values that are the same, as `unisem.filters.same` says."""
    match value:
        case list() | tuple():
            return json.dumps([_written(item) for item in value])
        case float() if value.is_integer():
            return f"number {int(value)}"
    return f"{kind(value)} {value}"


def _double(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _fact(*parts: str) -> str:
    return blake2b(json.dumps(parts).encode(), digest_size=12).hexdigest()


def _name(field: str) -> str:
    return _fact(field)


def _has(fact: str) -> str:
    return f"array_contains(facts, {_quoted(fact)})"


def _any(facts: Iterable[str]) -> str:
    listed = list(facts)
    return f"array_contains_any(facts, {_listed(listed)})" if listed else NONE


def _listed(facts: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, facts))}]"


def _quoted(digest: str) -> str:
    return f'"{digest}"'
