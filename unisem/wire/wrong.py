"""`what_is_wrong`: what pydantic finds wrong with a value, in this house's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_KINDS = {
    "string": "must be a string",
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "list": "must be a list",
    "dict": "must be an object",
    "model": "must be an object",
    "none": "must be null",
    "finite": "must be a finite number",
}
_OTHERS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda known: "is missing; give it",
    "extra_forbidden": lambda known: "is not known here; leave it out",
    "string_unicode": lambda known: "is not valid Unicode",
    "string_pattern_mismatch": lambda known: f"must match {known['pattern']}",
    "string_too_long": lambda known: f"must have at most {known['max_length']:,} characters",
    "string_too_short": lambda known: f"must have at least {known['min_length']:,} characters",
    "too_long": lambda known: f"must have at most {known['max_length']:,} items",
    "too_short": lambda known: f"must have at least {known['min_length']:,} items",
    "greater_than": lambda known: f"must be more than {known['gt']:,}",
    "greater_than_equal": lambda known: f"must be at least {known['ge']:,}",
    "less_than": lambda known: f"must be less than {known['lt']:,}",
    "less_than_equal": lambda known: f"must be at most {known['le']:,}",
    "literal_error": lambda known: f"must be {known['expected']}",
    "union_tag_invalid": lambda known: (
        f"must have as {known['discriminator']} one of {known['expected_tags']}"
    ),
    "union_tag_not_found": lambda known: f"must have {known['discriminator']}",
}


def what_is_wrong(error: Mapping[str, Any]) -> str:
    """What is wrong with a value, as words that follow its name; a remedy follows a semicolon.

    Args:
        error: One of a `ValidationError`'s, with its context.
    """
    kind, known = str(error["type"]), error.get("ctx", {})
    if kind in _OTHERS:
        return _OTHERS[kind](known)
    if kind == "value_error":  # which a validator of ours has raised
        return str(error["msg"]).removeprefix("Value error, ")
    return _KINDS.get(kind.partition("_")[0], "is not of a kind that is taken here")
