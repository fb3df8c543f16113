"""`Extracted`: what a chat model has found in one text, checked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from unisem.common.printable import plain
from unisem.errors import GraphError
from unisem.stores.graph import Entity, Mention, Relation

MOST = 50
"""Relations, and entities, that are taken from one text."""
LONGEST = 200
"""Characters of a name or a type."""
_LARGEST = 100_000  # characters of an answer
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Extracted:
    """Things and what they have to do with each other.

    Attributes:
        entities: Name and kind of each thing; the kind may be empty.
        relations: Subject, type and object of each relation.
    """

    entities: tuple[tuple[str, str], ...] = ()
    relations: tuple[tuple[str, str, str], ...] = ()

    @classmethod
    def of(cls, answer: str) -> Extracted:
        r"""Read a model's answer: one JSON object, whatever stands around it.

        Names lose control characters and line breaks; what is more than `MOST` is left out.

        Raises:
            GraphError: It is none, or not as the prompt asks.

        >>> Extracted.of('{"relations": [["banjo", "is a", "lute"]]}').relations
        (('banjo', 'is a', 'lute'),)
        """
        found = _OBJECT.search(answer[:_LARGEST])
        try:
            said = json.loads(found[0]) if found else None
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise GraphError(f"the answer is no JSON object: {answer[:80]!r}")
        entities = [_words(one, (1, 2)) for one in _listed(said, "entities")]
        relations = [_words(one, (3,)) for one in _listed(said, "relations")]
        return cls(
            tuple(dict.fromkeys((one[0], one[1] if len(one) > 1 else "") for one in entities)),
            tuple(dict.fromkeys((one[0], one[1], one[2]) for one in relations)),
        )

    def to_json(self) -> str:
        """As `of` reads it."""
        return json.dumps({"entities": self.entities, "relations": self.relations})

    def things(self) -> dict[str, Entity]:
        """The entities by id, those that only relations name among them."""
        named = [(name, kind) for name, kind in self.entities]
        named += [(end, "") for subject, _, target in self.relations for end in (subject, target)]
        found: dict[str, Entity] = {}
        for name, kind in named:
            found.setdefault(entity_id(name), Entity(entity_id(name), name, kind=kind or None))
        return found

    def triples(self, record_id: str) -> Iterator[Relation]:
        """The relations, found in a record."""
        for subject, kind, target in self.relations:
            yield Relation(entity_id(subject), kind, entity_id(target), record_id=record_id)

    def mentions(self, record_id: str) -> Iterator[Mention]:
        """That the record is about the entities."""
        return (Mention(record_id, name) for name in self.things())


def entity_id(name: str) -> str:
    """By which one name in two texts is one entity; a triple of the user's may use it as well.

    >>> entity_id("Musical  Instrument")
    'musical instrument'
    """
    return " ".join(name.casefold().split())


def _listed(said: dict[str, Any], name: str) -> list[Any]:
    found = said.get(name, [])
    if not isinstance(found, list):
        raise GraphError(f"{name!r} of the answer is no list")
    return found[:MOST]


def _words(one: object, counts: tuple[int, ...]) -> list[str]:
    """The strings of one item, made plain."""
    if not isinstance(one, list) or not all(isinstance(word, str) for word in one):
        raise GraphError(f"an item of the answer is no list of strings: {str(one)[:80]}")
    words = [plain(word)[:LONGEST].strip() for word in one]
    if len(words) not in counts or not words[0] or (len(counts) == 1 and not all(words)):
        raise GraphError(f"an item of the answer lacks a part: {str(one)[:80]}")
    return words
