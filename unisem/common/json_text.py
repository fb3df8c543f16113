"""`to_json` and `from_json`: what a store keeps as JSON, and to the bit what it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=dict).encode
_decode = json.JSONDecoder().decode


def to_json(value: Mapping[str, Any]) -> str:
    """Serialise checked JSON compactly, keys in the order given."""
    if not value:
        return "{}"
    try:
        return orjson.dumps(value, default=dict).decode()
    except TypeError:  # an integer of more than 64 bits
        return _encode(value)


def from_json(text: str) -> dict[str, Any]:
    """Parse what `to_json` wrote, to the same values.

    Raises:
        ValueError: It is no JSON, or no object.
        TypeError: It is nested far deeper than any record's.
    """
    if text == "{}":
        return {}
    value: Any = orjson.loads(text)
    if orjson.dumps(value) != text.encode():  # it takes integers of more than 64 bits for floats
        value = _decode(text)
    if type(value) is not dict:
        raise ValueError("what should be a JSON object is none")
    return value
