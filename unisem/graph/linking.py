"""Linking: which entities a text names, by its words and by what it means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisem.records import Vector
from unisem.stores.graph import Entity, GraphReader
from unisem.stores.spoken import spoken

MAX_CHARACTERS = 10_000
"""So much of a text is read."""
MAX_WORDS = 512
"""So many words of it count, the first ones."""
LONGEST_NAME = 8
"""Words of the longest name that is looked for."""
SHARPNESS = 20.0
"""By how much a cosine counts among the entities that are nearest: ``exp(20 · cosine)``."""
RIVALS = (
    *("a picture", "a photo", "something", "a thing", "an object", "a person", "an animal"),
    *("a plant", "food", "a building", "a landscape", "a vehicle", "a tool", "clothing"),
    *("furniture", "a device", "a text", "a symbol", "a pattern", "the sky", "water", "a toy"),
)
"""What any picture may be said to show; a name has to stand out from these."""
STANDS_OUT = 3.0
"""By how many standard deviations of the rivals' cosines a name is above their mean."""
_SHORT = 3  # letters of a word that is linked inside a longer text; WordNet knows "a" and "in"
_FRAME = re.compile(  # words before a name that say nothing of what is meant
    r"(?:(?:an?|the|some|any|all|all the|different|various) "
    r"|(?:picture|photo|photograph|image|drawing|kind|type|sort)s? of )+"
)


@dataclass(frozen=True, slots=True)
class Link:
    """An entity that a text may mean.

    Attributes:
        entity: The entity.
        weight: How much of the text's meaning goes to it: 1 for the only bearer of a name, shares
            of it for several.
    """

    entity: Entity
    weight: float


def by_words(reader: GraphReader, text: str) -> dict[int, float]:
    """Entities whose name or alias stands in a text, by number, with weights.

    The longest name counts where several begin at the same word, and the words that it takes are
    not read again. A name that several entities bear gives each an equal share. A plural is tried
    where the word itself is no name.
    """
    words = spoken(text[:MAX_CHARACTERS]).split()[:MAX_WORDS]
    spans = {
        (start, length): " ".join(words[start : start + length])
        for start in range(len(words))
        for length in range(1, min(LONGEST_NAME, len(words) - start) + 1)
    }
    tried = {name: [name, *_singulars(name)] for name in set(spans.values())}
    found = reader.named(sorted({form for forms in tried.values() for form in forms}))
    weights: dict[int, float] = {}
    start = 0
    while start < len(words):
        taken = 1
        for length in range(min(LONGEST_NAME, len(words) - start), 0, -1):
            name = spans[start, length]
            if length == 1 < len(words) and name.isascii() and len(name) < _SHORT:
                continue
            bearers = next((found[form] for form in tried[name] if form in found), ())
            for number in bearers:
                weights[number] = max(weights.get(number, 0.0), 1 / len(bearers))
            if bearers:
                taken = length
                break
        start += taken
    return weights


def by_whole(reader: GraphReader, text: str) -> dict[int, float]:
    """Entities whose name or alias is the whole text, by number, with equal weights.

    Articles, and what *a picture of* and *kinds of* stand for, may come before it; a plural is
    tried as in `by_words`. Empty where the text says more than a name.
    """
    whole = spoken(text[:MAX_CHARACTERS])
    forms = [whole, *_singulars(whole)]
    if frame := _FRAME.match(whole):
        name = whole[frame.end() :]
        forms += [name, *_singulars(name)]
    found = reader.named([form for form in forms if form])
    bearers = next((found[form] for form in forms if form in found), ())
    return dict.fromkeys(bearers, 1 / max(1, len(bearers)))


def by_vector(
    numbers: NDArray[np.int64], names: Vector, vector: Vector, most: int
) -> dict[int, float]:
    """Entities whose names are nearest to a vector, by number; their weights add up to 1.

    Args:
        numbers: Of entities, ``(n,)``.
        names: ``(n, d)`` float32 unit vectors of their names.
        vector: ``(d,)`` float32 unit vector.
        most: How many.
    """
    if not len(numbers) or most < 1:
        return {}
    cosines = names @ vector
    best = np.argpartition(-cosines, min(most, len(cosines)) - 1)[:most]
    shares = np.exp(SHARPNESS * (cosines[best] - cosines[best].max()))
    shares /= shares.sum()
    return dict(zip(numbers[best].tolist(), shares.tolist(), strict=True))


def shown(
    numbers: NDArray[np.int64], names: Vector, rivals: Vector, vector: Vector, most: int
) -> dict[int, float]:
    """Entities that a picture shows, by number: as `by_vector`, of the names that stand out.

    Args:
        numbers: Of entities, ``(n,)``.
        names: ``(n, d)`` float32 unit vectors of their names.
        rivals: ``(m, d)`` float32 unit vectors of `RIVALS`.
        vector: ``(d,)`` float32 unit vector of the picture.
        most: How many.
    """
    others = rivals @ vector
    stands_out = names @ vector > others.mean() + STANDS_OUT * others.std()
    return by_vector(numbers[stands_out], names[stands_out], vector, most)


def combined(
    words: dict[int, float], meaning: dict[int, float], share: float
) -> list[tuple[int, float]]:
    """Both kinds of links as one, heaviest first, ties by number.

    Args:
        words: Links by words.
        meaning: Links by vector.
        share: What the links by vector count beside those by words, which count 1; without any of
            those they count 1 as well.
    """
    factor = share if words else 1.0
    weights = dict(words)
    for number, weight in meaning.items():
        weights[number] = weights.get(number, 0.0) + factor * weight
    return sorted(weights.items(), key=lambda one: (-one[1], one[0]))


def _singulars(name: str) -> Sequence[str]:
    """What an English plural may be of."""
    if not name.isascii() or not name.endswith("s") or name.endswith("ss") or len(name) < 4:
        return ()
    if name.endswith("ies"):
        return (name[:-3] + "y", name[:-1])
    return (name[:-1], name[:-2]) if name.endswith("es") else (name[:-1],)
