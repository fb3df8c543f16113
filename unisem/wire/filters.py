"""`WireFilter`: a condition on metadata as JSON, a tree of comparisons.

>>> from unisem.filters import Field
>>> wire_filter((Field("year") >= 2020) & ~Field("tags").contains("cat"))
{'and': [{'field': 'year', 'operator': 'ge', 'value': 2020}, \
{'not': {'field': 'tags', 'operator': 'contains', 'value': 'cat'}}]}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from unisem.errors import FilterError
from unisem.filters import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    And,
    Comparison,
    Filter,
    Not,
    Operator,
    Or,
)
from unisem.wire.base import MOST_ITEMS

_SHAPES = (
    'a filter is {"field": …, "operator": …, "value": …}, {"and": […]}, {"or": […]} or {"not": …}'
)
_OPERATORS = tuple(operator.value for operator in Operator)


def filter_of(tree: object) -> Filter:
    """Read a condition.

    Args:
        tree: As `wire_filter` gives it.

    Raises:
        FilterError: It is no condition, or too deep, long or large.
    """
    _check_size(tree)
    return _read(tree, "filter", MAX_DEPTH)


def wire_filter(condition: Filter) -> dict[str, Any]:
    """Write a condition, so that `filter_of` gives the same again."""
    match condition:
        case And(parts):
            return {"and": [wire_filter(part) for part in parts]}
        case Or(parts):
            return {"or": [wire_filter(part) for part in parts]}
        case Not(part):
            return {"not": wire_filter(part)}
        case Comparison(field, operator, value):
            plain = list(value) if isinstance(value, tuple) else value
            return {"field": field, "operator": operator.value, "value": plain}
    raise FilterError(f"{condition!r} is no filter")


def _check_size(tree: object) -> None:
    """Refuse a filter that is so large that no part of it should be looked at."""
    left, count = [tree], 0
    while left:
        match left.pop():
            case dict(part):
                left += part.values()
                count += 1
            case list(items):
                if len(items) > MOST_ITEMS:
                    raise FilterError(f"a list in a filter has more than {MOST_ITEMS:,} items")
                left += [item for item in items if isinstance(item, dict)]
        if count > 2 * MAX_CONDITIONS:  # what joins them counts, too
            raise FilterError(f"a filter has more than {MAX_CONDITIONS:,} conditions; use is_in")


def _read(tree: object, where: str, room: int) -> Filter:
    """Read a condition that is of no unlikely size.

    Args:
        tree: As of `filter_of`.
        where: Of what place in the request an error speaks.
        room: How deep it may be nested.
    """
    if not room:
        raise FilterError(f"filter is nested deeper than {MAX_DEPTH}; flatten it")
    if not isinstance(tree, Mapping):
        raise FilterError(f"{where} is no filter; {_SHAPES}")
    match dict(tree):
        case {"and": list(parts), **rest} if not rest:
            return And(_parts(parts, f"{where}.and", room))
        case {"or": list(parts), **rest} if not rest:
            return Or(_parts(parts, f"{where}.or", room))
        case {"not": part, **rest} if not rest:
            return Not(_read(part, f"{where}.not", room - 1))
        case {"field": str(field), "operator": str(operator), **rest} if not rest.keys() - {
            "value"
        }:
            return _comparison(field, operator, rest.get("value"), where)
    raise FilterError(f"{where} is no filter; {_SHAPES}")


def _parts(parts: list[Any], where: str, room: int) -> tuple[Filter, ...]:
    return tuple(
        _read(part, f"{where}[{position}]", room - 1) for position, part in enumerate(parts)
    )


def _comparison(field: str, operator: str, value: object, where: str) -> Comparison:
    if operator not in _OPERATORS:
        raise FilterError(f"{where}: operator must be one of {', '.join(_OPERATORS)}")
    if "\0" in field:
        raise FilterError(f"{where}: a field's name has no NUL character")
    return Comparison(field, Operator(operator), value)


def _checked(tree: dict[str, Any]) -> dict[str, Any]:
    filter_of(tree)
    return tree


WireFilter = Annotated[
    dict[str, Any],
    AfterValidator(_checked),
    Field(
        description="A condition on metadata: a comparison, or conditions joined by `and`, `or` "
        "and `not`.",
        examples=[{"field": "year", "operator": "ge", "value": 2020}],
    ),
    WithJsonSchema(
        {
            "type": "object",
            "description": "A condition on metadata: a comparison of one field, or conditions "
            "joined by `and`, `or` and `not`, at most 32 deep.",
            "oneOf": [
                {
                    "properties": {
                        "field": {"type": "string", "description": "The metadata's key."},
                        "operator": {"type": "string", "enum": list(_OPERATORS)},
                        "value": {"description": "What it is compared with."},
                    },
                    "required": ["field", "operator"],
                    "additionalProperties": False,
                },
                *(
                    {
                        "properties": {word: {"type": "array", "items": {"type": "object"}}},
                        "required": [word],
                        "additionalProperties": False,
                    }
                    for word in ("and", "or")
                ),
                {
                    "properties": {"not": {"type": "object"}},
                    "required": ["not"],
                    "additionalProperties": False,
                },
            ],
            "examples": [{"field": "year", "operator": "ge", "value": 2020}],
        }
    ),
]
"""A condition as it travels, checked; `filter_of` makes a `Filter` of it."""
