"""What the answers must be, by brute force over all of the corpus."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from tests.congruence.conditions import Condition, holds
from unisem.records import EmbeddedRecord, Record, Vector
from unisem.stores.selection import Match

Answer = list[tuple[str, float]]
"""Ids and scores, best first, ties by id."""


class Oracle:
    """A list of records with their vectors."""

    def __init__(self, items: Sequence[EmbeddedRecord]) -> None:
        self._items = list(items)

    def chosen(
        self, condition: Condition | None = None, modality: str | None = None
    ) -> list[EmbeddedRecord]:
        """What a filter and a modality leave."""
        return [
            item
            for item in self._items
            if (condition is None or holds(condition, item.record.metadata))
            and modality in (None, "text" if item.record.image is None else "image")
        ]

    def by_vector(
        self, vector: Vector, items: Sequence[EmbeddedRecord], match: Match = "any"
    ) -> Answer:
        """Cosines, a record's best."""
        found = []
        for item in items:
            rows = [row for kind, row in item.vectors.items() if match in ("any", kind)]
            if rows:
                found.append((item.record.id, max(_cosine(vector, row) for row in rows)))
        return _ranked(found)

    def by_keyword(self, text: str, items: Sequence[EmbeddedRecord]) -> Answer:
        """BM25 over text (weight 1) and metadata (weight 0.5), as SQLite's manual defines it."""
        documents = {item.record.id: _documents(item.record) for item in self._items}
        lengths = {name: len(body) + len(rest) for name, (body, rest) in documents.items()}
        average = sum(lengths.values()) / len(lengths)
        scores = dict.fromkeys((item.record.id for item in items), 0.0)
        for term in dict.fromkeys(_terms(text)):
            having = sum(term in body or term in rest for body, rest in documents.values())
            rarity = math.log((len(documents) - having + 0.5) / (having + 0.5))
            rarity = rarity if rarity > 0 else 1e-6
            for name in scores:
                body, rest = documents[name]
                count = body.count(term) + 0.5 * rest.count(term)
                norm = 1.2 * (1 - 0.75 + 0.75 * lengths[name] / average)
                scores[name] += rarity * count * 2.2 / (count + norm) if count else 0.0
        return _ranked([(name, score) for name, score in scores.items() if score > 0])

    def diverse(
        self, vector: Vector, items: Sequence[EmbeddedRecord], k: int, diversity: float, fetch: int
    ) -> list[str]:
        """Maximal marginal relevance, one after another."""
        candidates = dict(self.by_vector(vector, items)[:fetch])
        rows = {item.record.id: list(item.vectors.values()) for item in self._items}
        picked: list[str] = []
        while candidates and len(picked) < k:
            best = max(
                candidates,  # in order of relevance, of equals the first
                key=lambda name: (
                    (1 - diversity) * candidates[name]
                    - diversity
                    * max(
                        _cosine(a, b) for other in picked for a in rows[other] for b in rows[name]
                    )
                    if picked
                    else candidates[name]
                ),
            )
            picked.append(best)
            del candidates[best]
        return picked


def rank_fused(lists: Sequence[Answer], constant: float = 60) -> Answer:
    """Reciprocal rank fusion."""
    scores: dict[str, float] = {}
    for answer in lists:
        for rank, (name, _) in enumerate(answer, 1):
            scores[name] = scores.get(name, 0) + 1 / (constant + rank)
    return _ranked(scores.items())


def weight_fused(by_vector: Answer, by_keyword: Answer, alpha: float) -> Answer:
    """A weighted sum of scores brought to 0 .. 1."""
    scores: dict[str, float] = {}
    for answer, weight in ((by_vector, alpha), (by_keyword, 1 - alpha)):
        values = [score for _, score in answer]
        for name, score in answer:
            low, span = min(values), max(values) - min(values)
            share = (score - low) / span if span else 1.0
            scores[name] = scores.get(name, 0) + weight * share
    return _ranked(scores.items())


def _ranked(scores: object) -> Answer:
    # Float32 sums differ in their last digits by order; such scores are one, and go by id.
    return sorted(scores, key=lambda pair: (-round(pair[1], 6), pair[0]))  # type: ignore[call-overload, no-any-return]


def _cosine(a: Vector, b: Vector) -> float:
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))


def _documents(record: Record) -> tuple[list[str], list[str]]:
    values = record.metadata.values()
    strings = [value for value in values if isinstance(value, str)]
    strings += [
        item
        for value in values
        if isinstance(value, list)
        for item in value
        if isinstance(item, str)
    ]
    return _terms(record.text or ""), _terms(" ".join(strings))


def _terms(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower().replace("ö", "o"))
