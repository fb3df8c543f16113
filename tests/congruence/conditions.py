"""`Condition`: one filter in every spelling that a user of a framework may give it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core import structured_query
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from unisem import filters


@dataclass(frozen=True)
class Leaf:
    """A field, an operator by its name in `unisem.filters.Operator`, and a value."""

    field: str
    operator: str
    value: Any = None


@dataclass(frozen=True)
class Group:
    """``"and"``, ``"or"`` or ``"not"`` (none holds) of some conditions."""

    kind: str
    parts: tuple[Leaf | Group, ...]


Condition = Leaf | Group

MONGO = {
    **{"eq": "$eq", "ne": "$ne", "gt": "$gt", "ge": "$gte", "lt": "$lt", "le": "$lte"},
    **{"in": "$in", "not_in": "$nin", "contains": "$contains", "exists": "$exists"},
}
STRUCTURED = {
    **{"eq": "eq", "ne": "ne", "gt": "gt", "ge": "gte", "lt": "lt", "le": "lte"},
    **{"in": "in", "not_in": "nin"},
}
LLAMA_INDEX = {
    **{"eq": "==", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<=", "in": "in"},
    **{"not_in": "nin", "any": "any", "all": "all", "contains": "contains"},
    **{"text": "text_match", "text_insensitive": "text_match_insensitive"},
    **{"is_empty": "is_empty"},
}


def holds(condition: Condition, metadata: Mapping[str, Any]) -> bool:
    """The meaning, in Python, without a line of the package."""
    if isinstance(condition, Group):
        decided = [holds(part, metadata) for part in condition.parts]
        return {"and": all(decided), "or": any(decided), "not": not any(decided)}[condition.kind]
    missing = object()
    stored, value = metadata.get(condition.field, missing), condition.value
    items = stored if isinstance(stored, list) else []
    match condition.operator:
        case "exists":
            return stored is not missing
        case "is_empty":
            return stored is missing or stored is None or stored in ("", [])
        case "eq":
            return _alike(stored, value) and stored == value
        case "ne":
            return not (_alike(stored, value) and stored == value)
        case "in":
            return any(_alike(stored, item) and stored == item for item in value)
        case "not_in":
            return not any(_alike(stored, item) and stored == item for item in value)
        case "contains":
            return any(_alike(item, value) and item == value for item in items)
        case "any":
            return any(_alike(item, one) and item == one for item in items for one in value)
        case "all":
            found = [any(_alike(item, one) and item == one for item in items) for one in value]
            return isinstance(stored, list) and all(found)
        case "text":
            return isinstance(stored, str) and value in stored
        case "text_insensitive":
            return isinstance(stored, str) and value.casefold() in stored.casefold()
    if not _alike(stored, value):
        return False
    order = {"gt": stored > value, "ge": stored >= value, "lt": stored < value}
    return {**order, "le": stored <= value}[condition.operator]


def _alike(stored: object, value: object) -> bool:
    """Both booleans, both numbers or both strings."""
    if isinstance(stored, bool) or isinstance(value, bool):
        return isinstance(stored, bool) and isinstance(value, bool)
    numbers = isinstance(stored, int | float) and isinstance(value, int | float)
    return numbers or (isinstance(stored, str) and isinstance(value, str))


def core(condition: Condition) -> filters.Filter:
    if isinstance(condition, Leaf):
        operator = filters.Operator(condition.operator)
        return filters.Comparison(condition.field, operator, condition.value)
    parts = tuple(map(core, condition.parts))
    if condition.kind == "and":
        return filters.And(parts)
    return filters.Or(parts) if condition.kind == "or" else filters.Not(filters.Or(parts))


def mongo(condition: Condition) -> dict[str, Any] | None:
    """The dictionary, ``None`` if LangChain's stores have no such operator."""
    if isinstance(condition, Leaf):
        if condition.operator not in MONGO:
            return None
        value = True if condition.operator == "exists" else condition.value
        return {condition.field: {MONGO[condition.operator]: value}}
    parts = [mongo(part) for part in condition.parts]
    if None in parts:
        return None
    return {"$not": {"$or": parts}} if condition.kind == "not" else {f"${condition.kind}": parts}


def structured(condition: Condition) -> structured_query.FilterDirective | None:
    """As a self-query retriever's model writes it, ``None`` if it cannot."""
    if isinstance(condition, Leaf):
        if condition.operator not in STRUCTURED:
            return None
        comparator = structured_query.Comparator(STRUCTURED[condition.operator])
        return structured_query.Comparison(
            comparator=comparator, attribute=condition.field, value=condition.value
        )
    parts = [part for part in map(structured, condition.parts) if part is not None]
    if len(parts) < len(condition.parts):
        return None
    if condition.kind == "not":
        either = structured_query.Operation(operator=structured_query.Operator.OR, arguments=parts)
        parts = [either]
    return structured_query.Operation(
        operator=structured_query.Operator(condition.kind), arguments=parts
    )


def llama_index(condition: Condition) -> MetadataFilters | MetadataFilter | None:
    """LlamaIndex's filters, ``None`` if they cannot say it; they have no booleans, for example."""
    if isinstance(condition, Leaf):
        kinds = {type(item) for item in _each(condition.value)}
        if condition.operator not in LLAMA_INDEX or bool in kinds or len(kinds) > 1:
            return None
        operator = FilterOperator(LLAMA_INDEX[condition.operator])
        return MetadataFilter(key=condition.field, operator=operator, value=condition.value)
    parts = [part for part in map(llama_index, condition.parts) if part is not None]
    if len(parts) < len(condition.parts):
        return None
    return MetadataFilters(filters=parts, condition=FilterCondition(condition.kind))


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
