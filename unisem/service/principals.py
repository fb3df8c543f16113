"""`Principal`: who asks, and what they may see and do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unisem.filters import Filter

Scope = Literal["read", "write"]
"""Whether records may be seen only, or also added, changed and removed."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        scope: What they may do.
        spaces: Names of the spaces that there are for them; ``None`` for all.
        filter: What holds for every record that there is for them; ``None`` for all.
    """

    scope: Scope = "write"
    spaces: frozenset[str] | None = None
    filter: Filter | None = None

    def sees(self, space: str) -> bool:
        """Whether there is a space of that name for them."""
        return self.spaces is None or space in self.spaces

    @property
    def is_bound(self) -> bool:
        """Whether there is anything that they do not see."""
        return self.spaces is not None or self.filter is not None


ANYONE = Principal()
"""Whoever asks a service without tokens, which only this machine can reach."""
