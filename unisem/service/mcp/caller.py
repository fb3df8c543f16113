"""`Caller`: who calls a tool, and what of a space is there for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unisem.filters import And, Comparison, Filter, Operator
from unisem.service.view import SpaceView


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls a tool.

    Attributes:
        view: The space as they see it.
        bound: What holds for every record that there is for them; ``None`` for all.
    """

    view: SpaceView
    bound: Filter | None

    @property
    def demanded(self) -> dict[str, Any]:
        """The values that metadata must have by name, so that nobody need be told of them."""
        return _demanded(self.bound)


def _demanded(bound: Filter | None) -> dict[str, Any]:
    match bound:
        case And(parts):
            return {name: value for part in parts for name, value in _demanded(part).items()}
        case Comparison(field, Operator.EQ, str() | int() | float() as value):
            return {field: value}
    return {}
