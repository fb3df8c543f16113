"""`Paraphrases`: how much an answer changes between several ways to ask for one thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from unisem.evaluation.asked_queries import AskedQuery
from unisem.stores.hits import Hit

_WORST = 3  # wishes that are shown


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing that was asked for in several ways.

    Attributes:
        name: What all of them have as their wish.
        texts: How it was asked.
        overlap: Mean share of the first ten that two of the ways have in common.
    """

    name: str
    texts: tuple[str, ...]
    overlap: float


@dataclass(frozen=True, slots=True)
class Paraphrases:
    """What became of the answers to wishes that were asked in several ways.

    Attributes:
        asked: By ``"text"``, or by ``"text and picture"``.
        wishes: How many.
        queries: How many ways, all wishes together.
        overlap: Mean over wishes of their overlap.
        deviation: Its standard deviation over wishes.
        first: Mean share of pairs of ways whose first hit is the same.
        worst: Those with the least overlap.
    """

    asked: Literal["text", "text and picture"]
    wishes: int
    queries: int
    overlap: float
    deviation: float
    first: float
    worst: tuple[Wish, ...]


def paraphrases_of(
    queries: Sequence[AskedQuery], hits: Sequence[Sequence[Hit] | None]
) -> tuple[Paraphrases, ...]:
    """Compare the answers to queries that name the same wish, pair by pair.

    Args:
        queries: What was asked; those without a wish, or alone with it, are left out.
        hits: What each found, at most ten; ``None`` where it could not ask.

    Returns:
        One for wishes asked by text alone, and one for those with a picture, if there are any.
    """
    answers: dict[tuple[bool, str], list[tuple[str, list[str]]]] = {}
    for query, found in zip(queries, hits, strict=True):
        if query.wish is not None and found:
            key = query.image is not None, query.wish
            ids = [hit.record.id for hit in found]
            answers.setdefault(key, []).append((query.text, ids))
    several = {key: ways for key, ways in answers.items() if len(ways) > 1}
    return tuple(
        _of(
            "text and picture" if with_image else "text",
            {name: ways for (kind, name), ways in several.items() if kind == with_image},
        )
        for with_image in (False, True)
        if any(kind == with_image for kind, _ in several)
    )


def _of(
    asked: Literal["text", "text and picture"], wishes: dict[str, list[tuple[str, list[str]]]]
) -> Paraphrases:
    found, firsts = [], []
    for name, ways in wishes.items():
        pairs = list(combinations([ids for _, ids in ways], 2))
        shared = [len(set(one) & set(other)) / max(len(one), len(other)) for one, other in pairs]
        texts = tuple(text for text, _ in ways)
        found.append(Wish(name, texts, float(np.mean(shared))))
        firsts.append(np.mean([one[0] == other[0] for one, other in pairs]))
    overlaps = np.array([wish.overlap for wish in found])
    return Paraphrases(
        asked=asked,
        wishes=len(found),
        queries=sum(len(wish.texts) for wish in found),
        overlap=float(overlaps.mean()),
        deviation=float(overlaps.std()),
        first=float(np.mean(firsts)),
        worst=tuple(sorted(found, key=lambda wish: (wish.overlap, wish.name))[:_WORST]),
    )
