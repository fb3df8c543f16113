"""`to_filter`: from the dictionaries that LangChain's stores have in common to a core `Filter`.

>>> from unisem.filters import matches
>>> recent = to_filter({"year": {"$gte": 2020}, "$or": [{"city": "Oslo"}, {"city": "Rome"}]})
>>> matches(recent, {"year": 2024, "city": "Rome"})
True
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.structured_query import FilterDirective

from langchain_unisem.structured_queries import UniSemTranslator
from unisem.errors import FilterError
from unisem.filters import MAX_DEPTH, And, Comparison, Filter, Not, Operator, Or

FilterLike = Filter | Mapping[str, Any] | FilterDirective
"""What may stand for a filter: a core `Filter`, a dictionary with Mongo's operators, or LangChain's
own expressions (`langchain_core.structured_query`)."""

_COMPARISONS = {
    "$eq": Operator.EQ,
    "$ne": Operator.NE,
    "$neq": Operator.NE,
    "$gt": Operator.GT,
    "$gte": Operator.GE,
    "$lt": Operator.LT,
    "$lte": Operator.LE,
    "$in": Operator.IN,
    "$nin": Operator.NOT_IN,
    "$contains": Operator.CONTAINS,
}
_ON_FIELDS = (*_COMPARISONS, "$exists", "$not")
_ON_CONDITIONS = ("$and", "$or", "$not")


def to_filter(condition: FilterLike | None) -> Filter | None:
    """Translate a filter; what is none yet or one already comes back as it is.

    All keys of a dictionary must hold. A plain value under a field means equality; a dictionary
    under a field holds operators. ``$and`` and ``$or`` take a list of dictionaries, ``$not`` a
    dictionary, both beside fields and inside one. What the comparisons mean, `unisem.filters`
    says: a missing field matches only ``$ne``, ``$nin`` and ``$exists: False``.

    Raises:
        FilterError: An unknown operator, a value that does not suit its operator, or conditions
            that are nested too deep.
    """
    try:
        return None if condition is None else _translate(condition)
    except RecursionError:
        raise FilterError(
            f"conditions are nested deeper than {MAX_DEPTH}; flatten the filter"
        ) from None


def _translate(condition: object) -> Filter:
    if isinstance(condition, Filter):
        return condition
    if isinstance(condition, FilterDirective):
        return UniSemTranslator().translate(condition)
    if isinstance(condition, Mapping):
        return _conjunction([_entry(key, value) for key, value in condition.items()])
    hint = "; a function cannot be decided inside the search" if callable(condition) else ""
    raise FilterError(
        f"a filter must be a dictionary or a unisem.filters.Filter, "
        f"not {type(condition).__name__}{hint}"
    )


def _entry(key: Any, value: Any) -> Filter:
    match key:
        case "$and":
            return And(_parts(key, value))
        case "$or":
            return Or(_parts(key, value))
        case "$not":
            return Not(_translate(value))
        case str() if key.startswith("$"):
            raise _unknown(key, "where a field or one of", _ON_CONDITIONS)
        case str():
            return _field(key, value)
    raise FilterError(f"a filter's keys are field names; {key!r} is no string")


def _field(field: str, value: Any) -> Filter:
    if isinstance(value, Mapping):
        if not value:
            raise FilterError(f"filter on {field!r}: the dictionary of operators is empty")
        return _conjunction([_operation(field, name, operand) for name, operand in value.items()])
    if isinstance(value, list | tuple | set | frozenset):
        raise FilterError(
            f"filter on {field!r}: for one of several values write "
            f'{{"$in": [...]}}, for a list that has a value {{"$contains": value}}'
        )
    return Comparison(field, Operator.EQ, value)


def _operation(field: str, name: Any, operand: Any) -> Filter:
    if name == "$exists":
        if not isinstance(operand, bool):
            raise FilterError(f"filter on {field!r}: $exists needs True or False, not {operand!r}")
        present = Comparison(field, Operator.EXISTS)
        return present if operand else Not(present)
    if name == "$not":
        return Not(_field(field, operand))
    if isinstance(name, str) and name in _COMPARISONS:
        return Comparison(field, _COMPARISONS[name], operand)
    raise _unknown(name, f"on {field!r}, where one of", _ON_FIELDS)


def _parts(name: str, value: Any) -> tuple[Filter, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise FilterError(f"{name} needs a list of at least one condition, not {value!r}")
    return tuple(_translate(item) for item in value)


def _conjunction(parts: list[Filter]) -> Filter:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _unknown(name: object, where: str, known: tuple[str, ...]) -> FilterError:
    return FilterError(f"unknown filter operator {name!r} {where} {' '.join(known)} belongs")
