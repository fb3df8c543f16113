"""Kind-of queries: what a picture shows is asked for by the name of something more general.

Pictures are the held-out part of the Open Clip Art Library that nearly repeats none of the training
part (`benchmarks.near_duplicates`), and of GCompris' photographs and drawings the first of each
name. What one shows are the nouns of WordNet that its title or a keyword is, in their commonest
meaning, or in the one that another term of the same picture is narrower or broader than.

A query is a synset's name with an article, of things that can be seen: living things, artefacts,
natural objects, food. Relevant is every picture of something narrower. Left out are, of each query,
pictures whose caption has one of the query's words in it, which any search by words would find:
they are neither right nor wrong. Of synsets with the same pictures the narrowest is asked for;
those with fewer than five pictures, or more than a twentieth of all, are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unisem import SemanticSpace
from unisem.graph.sources.wordnet import WordNet
from unisem.stores.graph import BROADER

SENSES = 3
"""Meanings of a word that the graph knows."""
FEWEST, MOST = 5, 0.05  # pictures of a query; the most as a share of all
_VISIBLE = frozenset(("wordnet:n00003553", "wordnet:n00021265"))  # a whole thing, and food
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True)
class KindQuery:
    """A question for a kind of thing.

    Attributes:
        synset: The entity's id.
        text: What is asked.
        relevant: Positions of the pictures that show one.
        literal: Positions of those that are not counted, as their captions have the words.
    """

    synset: str
    text: str
    relevant: tuple[int, ...]
    literal: frozenset[int]


class Taxonomy:
    """WordNet's nouns by what they are called, and what is above them."""

    def __init__(self, directory: Path) -> None:
        source = WordNet(directory)
        self.names = {one.id: (one.name, *one.aliases) for one in source.entities()}
        self.above: dict[str, list[str]] = {}
        for relation in source.relations():
            if relation.type == BROADER:
                self.above.setdefault(relation.subject, []).append(relation.object)
        self._senses, self._spoken = _senses(directory)
        self._directory = directory
        self._below: dict[str, list[str]] = {}

    def fill(self, space: SemanticSpace) -> None:
        """Put into a space's graph what can be seen and is spoken of.

        That is what lies below `_VISIBLE` and is mentioned in the texts that WordNet's makers have
        tagged, and all that is above it.
        """
        wanted = {
            above
            for synset in self._spoken
            if self.closure(synset) & _VISIBLE
            for above in self.closure(synset)
        }
        source = WordNet(self._directory, senses=SENSES)
        space.graph.add(
            (one for one in source.entities() if one.id in wanted),
            (
                one
                for one in source.relations()
                if one.type == BROADER and {one.subject, one.object} <= wanted
            ),
        )

    def senses(self, phrase: str) -> list[str]:
        """The synsets that a phrase may mean, the commonest first; of a plural its singular's."""
        for form in (phrase, *_singulars(phrase)):
            if form in self._senses:
                return self._senses[form]
        return []

    def closure(self, synset: str) -> set[str]:
        """A synset and all above it."""
        found, waiting = {synset}, [synset]
        while waiting:
            new = [one for one in self.above.get(waiting.pop(), ()) if one not in found]
            found.update(new)
            waiting += new
        return found

    def narrower(self, synset: str, steps: int) -> list[str]:
        """What is below a synset, at most so many steps; the nearest first."""
        if not self._below:
            for one, above in self.above.items():
                for name in above:
                    self._below.setdefault(name, []).append(one)
        found: dict[str, None] = {}
        level = [synset]
        for _ in range(steps):
            level = [one for name in level for one in self._below.get(name, ())]
            found.update(dict.fromkeys(level))
        return list(found)

    def shown(self, terms: Sequence[str]) -> set[str]:
        """What a picture with these terms shows."""
        meant = {term: self.senses(term) for term in terms}
        found: set[str] = set()
        for term, senses in meant.items():
            others = {one for other, those in meant.items() if other != term for one in those}
            above = {it for one in others for it in self.closure(one)}
            told = [one for one in senses if one in above or self.closure(one) & others]
            found.update((told or senses)[:1])
        return found


def terms_of(caption: str) -> list[str]:
    """A title and its keywords, each whole; a title of several words also by its last ones."""
    title, _, keywords = caption.partition(". ")
    words = _WORD.findall(title.casefold())
    spans = [" ".join(words[start:]) for start in range(len(words))]
    said = [" ".join(_WORD.findall(word.casefold())) for word in keywords.split(",")]
    return [term for term in dict.fromkeys([*spans, *said]) if term]


def kind_queries(taxonomy: Taxonomy, captions: Sequence[str]) -> list[KindQuery]:
    """The questions that pictures with these captions answer, by the synset's id."""
    below: dict[str, set[int]] = {}
    for place, caption in enumerate(captions):
        for synset in taxonomy.shown(terms_of(caption)):
            for above in taxonomy.closure(synset) - {synset}:
                below.setdefault(above, set()).add(place)
    words = [_forms(_WORD.findall(caption.casefold())) for caption in captions]
    queries: list[KindQuery] = []
    asked: set[frozenset[int]] = set()
    depth = {synset: len(taxonomy.closure(synset)) for synset in below}
    for synset in sorted(below, key=lambda one: (-depth[one], one)):
        name = taxonomy.names[synset][0].casefold()
        own = _forms(_WORD.findall(name))
        literal = frozenset(place for place, said in enumerate(words) if said & own)
        relevant = frozenset(below[synset] - literal)
        if not taxonomy.closure(synset) & _VISIBLE:
            continue
        if FEWEST <= len(relevant) <= MOST * len(captions) and relevant not in asked:
            asked.add(relevant)
            queries.append(KindQuery(synset, _article(name), tuple(sorted(relevant)), literal))
    return sorted(queries, key=lambda one: one.synset)


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _forms(words: Iterable[str]) -> set[str]:
    """Words that say something, and their singulars."""
    long = [word for word in words if len(word) > 2]
    return {form for word in long for form in (word, *_singulars(word))}


def _singulars(phrase: str) -> list[str]:
    if not phrase.endswith("s") or phrase.endswith("ss") or len(phrase) < 4:
        return []
    return [phrase[:-1], phrase[:-2], phrase[:-3] + "y"]


def _senses(directory: Path) -> tuple[dict[str, list[str]], set[str]]:
    """The meanings of each word, the commonest first, and those that tagged texts mention."""
    found: dict[str, list[str]] = {}
    spoken: set[str] = set()
    with (directory / "index.noun").open(encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith(" "):
                parts = line.split()
                count = int(parts[2])
                tagged = int(parts[-count - 1])
                spoken.update(f"wordnet:n{offset}" for offset in parts[-count:][:tagged])
                name = " ".join(_WORD.findall(parts[0].casefold()))
                found.setdefault(name, [f"wordnet:n{offset}" for offset in parts[-count:]])
    return found, spoken
