"""`chosen`: a selection as an expression of Milvus, exact whatever Milvus can say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from unisem.filters import Filter, matches
from unisem.records import Record
from unisem.stores.milvus.facts import (
    EVERY,
    NONE,
    OTHER,
    is_of_modality,
    is_of_pictures,
    is_of_sources,
    said,
)
from unisem.stores.milvus.rows import key_of
from unisem.stores.milvus.server import one_of
from unisem.stores.selection import Selection

Narrow = Callable[[str, Callable[[Record], bool]], list[str]]
"""Gives the keys of those records that an expression holds for, that a condition holds for."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which rows may be found.

    Attributes:
        expression: Holds for all rows of the selected records, and for records with metadata that
            Milvus cannot compare.
        filter: What the metadata of a record that is read must match.
        is_nothing: Whether nothing is selected.
    """

    expression: str
    filter: Filter | None = None
    is_nothing: bool = False

    def also(self, expression: str) -> Chosen:
        """Those of the rows that an expression holds for."""
        return Chosen(f"{self.expression} and {expression}", self.filter, self.is_nothing)

    def holds(self, record: Record) -> bool:
        """Whether a record that was found is selected."""
        return self.filter is None or matches(self.filter, record.metadata)


def chosen(selection: Selection, narrow: Narrow) -> Chosen:
    """A selection as an expression.

    What an expression cannot say of a filter is decided first, by reading the records that the rest
    of the selection leaves, so that no search has to leave out what it found.

    Args:
        selection: Which records.
        narrow: Reads.
    """
    if () in (selection.ids, selection.source_ids, selection.digests):
        return Chosen(NONE, None, is_nothing=True)
    parts = []
    if selection.ids is not None:
        keys = dict.fromkeys(map(key_of, selection.ids))
        parts.append(f"({one_of('key', list(keys))})")
    if selection.source_ids is not None:
        parts.append(is_of_sources(selection.source_ids))
    if selection.digests is not None:
        parts.append(is_of_pictures(selection.digests))
    if selection.modality is not None:
        parts.append(is_of_modality(selection.modality))
    if (condition := selection.filter) is None:
        return Chosen(" and ".join(parts) or EVERY)
    text, is_exact = said(condition)
    parts.append(f'(array_contains(facts, "{OTHER}") or {text})')
    expression = " and ".join(parts)
    if is_exact:
        return Chosen(expression, condition)
    keys = dict.fromkeys(narrow(expression, lambda record: matches(condition, record.metadata)))
    return Chosen(f"({one_of('key', list(keys))})", condition, is_nothing=not keys)
