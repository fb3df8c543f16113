"""What two JSON values have in common: their type, and whether they are the same."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any


class Values(tuple[Any, ...]):
    """Several plain values, whose types are looked at once, however often they are compared."""

    @cached_property
    def keys(self) -> frozenset[tuple[str, Any]]:
        """Each value with its JSON type."""
        return keys_of(list(self))


def kind(value: object) -> str:
    """The JSON type of a value: ``boolean``, ``number``, ``string``, ``null`` or ``other``."""
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case None:
            return "null"
    return "other"


def keys_of(values: Iterable[Any]) -> frozenset[tuple[str, Any]]:
    """Plain values with their JSON types, which are `same` if they are equal; others left out."""
    if isinstance(values, Values):
        return values.keys
    return frozenset((kind(value), value) for value in values if kind(value) != "other")


def same(stored: object, value: object) -> bool:
    """Equality within one JSON type, so that ``True`` is not ``1``; of lists item by item."""
    if isinstance(stored, list | tuple) and isinstance(value, list | tuple):
        return len(stored) == len(value) and all(map(same, stored, value))
    return kind(stored) == kind(value) != "other" and stored == value
