"""`Selection`: which records may be found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from unisem.filters import Filter
from unisem.records import Modality

Match = Literal["any", "text", "image", "both"]
"""Which of a record's vectors are compared with the query: its text's, its picture's, the fused one
of ``"both"``, or ``"any"`` of them."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records; every part that is not ``None`` must hold.

    Attributes:
        ids: One of these ids. An empty tuple selects nothing.
        source_ids: Cut from one of these sources. An empty tuple selects nothing.
        filter: Its metadata matches.
        modality: ``"text"`` (no picture) or ``"image"`` (a picture, with or without caption).
        digests: It has a picture with one of these SHA-256 digests, in hex. An empty tuple selects
            nothing.
    """

    ids: Sequence[str] | None = None
    source_ids: Sequence[str] | None = None
    filter: Filter | None = None
    modality: Modality | None = None
    digests: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for name in ("ids", "source_ids", "digests"):
            object.__setattr__(self, name, as_ids(getattr(self, name)))
        if self.filter is not None and not isinstance(self.filter, Filter):
            raise TypeError(
                f"filter must be a unisem.filters.Filter, not {type(self.filter).__name__}; "
                'for example Field("year") >= 2020'
            )
        if self.modality not in (None, "text", "image"):
            raise ValueError(f'modality must be "text", "image" or None, not {self.modality!r}')

    @property
    def is_everything(self) -> bool:
        """Whether no part restricts."""
        return self == EVERYTHING


def as_ids(ids: Sequence[str] | None, name: str | None = None) -> tuple[str, ...] | None:
    """What a caller gives as ids.

    Args:
        ids: A list of them.
        name: Of the caller's argument, to be said in an error.

    Raises:
        TypeError: It is one string.
    """
    if isinstance(ids, str):
        wanted = "pass a list of ids" if name is None else f"{name} must be a list of ids"
        raise TypeError(f"{wanted}, for example [{ids!r}]")
    return None if ids is None else tuple(ids)


EVERYTHING = Selection()
