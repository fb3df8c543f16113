"""Walking a graph from some entities on: what is near, how near, and by which path."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unisem.graph.pagerank import pagerank
from unisem.stores.graph import BROADER, NARROWER, Edge, GraphReader

MOST_WALKED = 128
"""Entities whose neighbours are looked at, so that a walk takes milliseconds in any graph."""


@dataclass(frozen=True, slots=True)
class Reached:
    """Entities that a walk came to.

    Attributes:
        weights: How much each counts, by number.
        before: From which entity each was reached first; ``None`` for where the walk began.
    """

    weights: dict[int, float]
    before: dict[int, int | None]

    def path(self, number: int) -> tuple[int, ...]:
        """The way to an entity, from where the walk began."""
        steps = [number]
        while (earlier := self.before[steps[-1]]) is not None:
            steps.append(earlier)
        return tuple(reversed(steps))


def spread(
    reader: GraphReader,
    seeds: Mapping[int, float],
    *,
    depth: int,
    limit: int,
    types: Mapping[str, float] | None,
    damping: float,
    named: Collection[int] = (),
) -> Reached:
    """Spread the seeds' weight over their neighbourhood by personalised PageRank.

    Args:
        reader: The graph.
        seeds: Weights above 0, by number.
        depth: Steps from a seed.
        limit: Neighbours of an entity, the heaviest.
        types: Only relations of these types, with what theirs weights are multiplied by.
        damping: See `pagerank`.
        named: Those seeds at which paths begin rather than at others.

    Returns:
        Every entity that was reached; the weights add up to 1.
    """
    frontier = sorted(seeds, key=lambda one: (one not in named, -seeds[one], one))
    before: dict[int, int | None] = dict.fromkeys(frontier)
    rooted = {number for number in frontier if number in named}  # whose paths begin there
    pairs: dict[tuple[int, int], float] = {}
    walked: set[int] = set()
    names = None if types is None else list(types)
    for _ in range(depth):
        following: list[int] = []
        for number in frontier:
            if len(walked) == MOST_WALKED:
                break
            told: dict[int, float] = {}
            for other, kind, weight, _ in reader.edges(number, limit, names):
                factor = 1.0 if types is None else types[kind]
                told[other] = told.get(other, 0.0) + weight * factor
                if other not in before:
                    following.append(other)
                elif before[other] is not None or other in rooted or number not in rooted:
                    continue
                before[other] = number
                if number in rooted:
                    rooted.add(other)
            for other, weight in told.items():
                if (other, number) not in pairs:  # what the first of both ends said
                    pairs[number, other] = weight
            walked.add(number)
        frontier = following
    places = {number: place for place, number in enumerate(before)}
    ends = (places[number] for pair in pairs for number in pair)
    edges = np.fromiter(ends, np.int64, 2 * len(pairs))
    weights = np.fromiter(pairs.values(), np.float64, len(pairs))
    start = np.array([seeds.get(number, 0.0) for number in before])
    rank = pagerank(edges.reshape(-1, 2), weights, start, damping=damping)
    return Reached(dict(zip(before, rank.tolist(), strict=True)), before)


def narrower(
    reader: GraphReader, seeds: Mapping[int, float], *, depth: int, limit: int, most: int
) -> Reached:
    """Go down a taxonomy from the seeds: what they are the more general terms of.

    Args:
        reader: The graph.
        seeds: Weights above 0, by number.
        depth: Steps down from a seed.
        limit: Narrower terms of a term, those with the heaviest relation.
        most: Terms in all; nearer ones come first.

    Returns:
        The seeds and what is below them; a term's weight is half of that of the term above it.
    """
    frontier = sorted(seeds, key=lambda number: (-seeds[number], number))
    weights = dict(seeds)
    before: dict[int, int | None] = dict.fromkeys(frontier)
    for _ in range(depth):
        following: list[int] = []
        for number in frontier:
            for edge in _below(reader, number, limit):
                if edge.other not in before and len(before) < most:
                    before[edge.other] = number
                    weights[edge.other] = weights[number] / 2
                    following.append(edge.other)
        frontier = following
    return Reached(weights, before)


def _below(reader: GraphReader, number: int, limit: int) -> Sequence[Edge]:
    """Relations to narrower terms, whichever way they are said."""
    down = reader.edges(number, limit, [NARROWER], "outward")
    up = reader.edges(number, limit, [BROADER], "inward")
    return sorted([*down, *up], key=lambda edge: -edge.weight)[:limit]
