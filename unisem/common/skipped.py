"""`Skipped`: one input that could not be used, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from unisem.errors import ImageError


@dataclass(frozen=True, slots=True)
class Skipped:
    """One input that gave no record.

    Attributes:
        name: Which file, with the line where that helps.
        reason: What was wrong with it.
        again: Whether another try may do better: time or memory ran out, or a recogniser failed.
    """

    name: str
    reason: str
    again: bool = False

    @classmethod
    def of(cls, error: ImageError) -> Self:
        """A picture that cannot be used."""
        return cls(error.name, error.reason, error.again)
