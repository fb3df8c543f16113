"""What RDF's terms mean for a graph: broader terms, names, what records are about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote

from unisem.stores.graph import BROADER, Mention, Relation, is_name

_SKOS = "http://www.w3.org/2004/02/skos/core#"
_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_SCHEMA = ("http://schema.org/", "https://schema.org/")
_UPWARD = {
    _SKOS + "broader",
    _SKOS + "broadMatch",
    _RDFS + "subClassOf",
    _RDFS + "subPropertyOf",
    _TYPE,
}
_DOWNWARD = {_SKOS + "narrower", _SKOS + "narrowMatch"}
_NAMES = (_SKOS + "prefLabel", _RDFS + "label", *(base + "name" for base in _SCHEMA))
_ALIASES = (_SKOS + "altLabel", _SKOS + "hiddenLabel", *(s + "alternateName" for s in _SCHEMA))
# Terms of the languages that graphs are described in: "this is a concept" says nothing of it.
_GRAMMAR = (
    _SKOS,
    _RDFS,
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "http://www.w3.org/2002/07/owl#",
)


class Literal(NamedTuple):
    """A text of RDF.

    Attributes:
        text: The text.
        language: In which language, in small letters; empty if that is not said.
    """

    text: str
    language: str


class Triple(NamedTuple):
    """A statement of a file; blank nodes have no name to be known by, and are left out.

    Attributes:
        subject: An IRI.
        predicate: An IRI.
        object: An IRI, or a text.
    """

    subject: str
    predicate: str
    object: str | Literal


@dataclass(slots=True)
class Names:
    """What an entity is called, gathered triple by triple.

    Attributes:
        best: The name so far, after how good it is: smaller is better.
        others: All the names.
        unusable: Labels that were left out, as no name can be so long, or hold a NUL.
    """

    best: tuple[int, int, str] | None = None
    others: dict[str, None] = field(default_factory=dict)
    unusable: int = 0

    def hear(self, predicate: str, said: Literal, language: str) -> None:
        """Take in a label; others than those of `is_label` must not be given."""
        text = " ".join(said.text.split())
        if not text:
            return
        if not is_name(text):
            self.unusable += 1
            return
        self.others[text] = None
        if predicate in _NAMES:
            order = _NAMES.index(predicate)
            rank = (_fit(said.language, language), order, text)
            self.best = rank if self.best is None else min(self.best, rank)


def is_label(predicate: str) -> bool:
    """Whether a predicate says what its subject is called."""
    return predicate in _NAMES or predicate in _ALIASES


def statements_of(triple: Triple, records: str) -> Iterator[Relation | Mention]:
    """What a triple says of entities and records: nothing, or one thing.

    Args:
        triple: Its object is an IRI.
        records: What the IRIs of records begin with; the record's id follows, percent-encoded.
    """
    subject, predicate, target = triple
    assert isinstance(target, str)
    if predicate == _TYPE and target.startswith(_GRAMMAR):
        return
    if subject.startswith(records):
        if not target.startswith(records):
            yield Mention(unquote(subject[len(records) :]), target)
    elif target.startswith(records):
        yield Mention(unquote(target[len(records) :]), subject)
    elif predicate in _UPWARD:
        yield Relation(subject, BROADER, target)
    elif predicate in _DOWNWARD:
        yield Relation(target, BROADER, subject)
    elif not predicate.startswith(_SKOS) or predicate == _SKOS + "related":
        yield Relation(subject, local_name(predicate), target)


def local_name(iri: str) -> str:
    """What an IRI ends with, as words.

    >>> local_name("http://example.org/terms#polar_bear"), local_name("urn:x:PolarBear")
    ('polar bear', 'PolarBear')
    """
    end = re.split(r"[#/:]", iri.rstrip("#/:"))[-1]
    return " ".join(unquote(end).replace("_", " ").split()) or iri


def _fit(language: str, wanted: str) -> int:
    """How well a label's language is the one that is wanted; 0 is best."""
    if language == wanted or language.startswith(f"{wanted}-"):
        return 0
    return 2 if language else 1
