"""Asking a space in several ways, with a graph and without, and what the differences are."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from unisem import SemanticSpace
from unisem.evaluation.ranking import Floats, bootstrap_interval
from unisem.search.graph_expansion import GraphExpansion
from unisem.search.query import Mode, Query
from unisem.stores.selection import Selection

Way = tuple[Mode, GraphExpansion | None]
"""How a question is asked."""


def asked(
    space: SemanticSpace, way: Way, text: str, selection: Selection | None = None, k: int = 10
) -> list[str]:
    """Ids of the records found, best first."""
    mode, graph = way
    query = Query(text=text, k=k, mode=mode, selection=selection or Selection(), graph=graph)
    return [hit.record.id for hit in space.search_query(query)]


def table(title: str, found: Mapping[str, Floats]) -> Table:
    """Means, and how far each is from the first, with the paired 95 % interval of the difference.

    Args:
        title: Above the table.
        found: A value for each question, by how it was asked.
    """
    shown = Table("asked by", "mean", "difference", "95 % interval", title=title)
    first = next(iter(found.values()))
    for name, values in found.items():
        less = values - first
        low, high = bootstrap_interval(less, rounds=2000)
        told = (
            ("", "") if values is first else (f"{less.mean():+.3f}", f"{low:+.3f} to {high:+.3f}")
        )
        shown.add_row(name, f"{values.mean():.3f}", *told)
    return shown
