"""`WireModel`: what all values on the wire have in common, and how long their lists may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, model_validator
from pydantic_core import core_schema

_Item = TypeVar("_Item")

MOST_ITEMS = 10_000
"""Items of a list in a request, whatever a service's own limits are.

It is compared before any item is looked at, so that no body makes millions of values, or of errors.
"""
_MOST_FIELDS = 100  # of an object; no value has as many, and each that is unknown is an error


def _few(value: Any) -> Any:
    if isinstance(value, list | dict) and len(value) > MOST_ITEMS:
        raise ValueError(f"must have at most {MOST_ITEMS:,} items; ask for less at a time")
    return value


@dataclass(frozen=True)
class _Few:
    """Has a list or an object measured first, and a list looked at up to the first wrong item."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        schema = handler(source)
        if schema["type"] == "list":
            schema = core_schema.list_schema(schema.get("items_schema"), fail_fast=True)
        return core_schema.no_info_before_validator_function(_few, schema)


FEW = _Few()
"""Refuses more than `MOST_ITEMS` before the items are looked at."""

Items = Annotated[list[_Item], FEW]
"""A list in a request."""


class WireModel(BaseModel):
    """A value as JSON: types as written, unknown fields refused, never changed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _has_few_fields(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) > _MOST_FIELDS:
            raise ValueError(f"has {len(value):,} fields, which are not known; leave them out")
        return value
