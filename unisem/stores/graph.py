"""`Entity`, `Relation`, `Mention`, and `GraphStore`, which keeps them beside the records.

They live here, as `Selection` and `Hit` do, because a store has to understand them; what is made of
them is in ``unisem/graph/``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unisem.errors import CorruptStoreError, GraphError, RecordError
from unisem.records import Vector, check_json, check_unicode
from unisem.stores.selection import Selection

Way = Literal["both", "outward", "inward"]
"""Relations of which an entity is the subject (outward), the object, or either."""
BROADER = "broader"
"""The type of a relation from a thing to a more general one, as in SKOS: banjo → instrument."""
NARROWER = "narrower"
"""The same, said of the more general one."""
LONGEST = 1000
"""Characters of an id, a name or a type."""
MOST_ALIASES = 1000
"""Other names of an entity."""
LIGHTEST = 1e-6
"""The least weight; what is lighter would vanish in a walk."""
HEAVIEST = 1e6
"""The greatest weight."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A thing that relations are about.

    Attributes:
        id: Unique in a graph; adding the same id again replaces the entity, its relations stay.
        name: What it is called, and shown as; linked with words of a query.
        aliases: What else it is called.
        kind: What sort of thing it is; any word.
        properties: JSON values under string keys; kept, never searched.

    Raises:
        GraphError: A part is empty, too long, or nothing that can be kept.

    >>> Entity("banjo", "banjo", aliases=("five-string banjo",)).kind is None
    True
    """

    id: str
    name: str
    aliases: tuple[str, ...] = ()
    kind: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check_name(self.id, "an entity's id")
        what = f"entity {self.id!r:.80}"
        _check_name(self.name, f"{what}: its name")
        aliases: Any = self.aliases
        if isinstance(aliases, str):
            raise GraphError(f"{what}: aliases must be a list of names, not one string")
        object.__setattr__(self, "aliases", tuple(aliases))
        if len(self.aliases) > MOST_ALIASES:
            raise GraphError(f"{what} has more than {MOST_ALIASES} aliases; leave some out")
        for alias in self.aliases:
            _check_name(alias, f"{what}: an alias")
        if self.kind is not None:
            _check_name(self.kind, f"{what}: its kind")
        _check_properties(self, what)


@dataclass(frozen=True, slots=True)
class Relation:
    """That one entity stands in some relation to another; read as a sentence, subject first.

    Attributes:
        subject: An entity's id; of no entity yet, it becomes one of that name.
        type: Which relation, ``"broader"`` for what a taxonomy says.
        object: Likewise, an entity's id.
        weight: How strong or certain it is, from `LIGHTEST` to `HEAVIEST`.
        record_id: The record it was found in, with which it goes; ``None`` if in none.
        properties: JSON values under string keys; kept, never searched.

    Raises:
        GraphError: A part is empty, too long, or nothing that can be kept.
    """

    subject: str
    type: str
    object: str
    weight: float = 1.0
    record_id: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check_name(self.subject, "a relation's subject")
        what = f"a relation of {self.subject!r:.80}"
        _check_name(self.type, f"{what}: its type")
        _check_name(self.object, f"{what}: its object")
        _check_weight(self.weight, what)
        if self.record_id is not None:
            _check_record(self.record_id, what)
        if self.properties:
            _check_properties(self, what)


@dataclass(frozen=True, slots=True)
class Mention:
    """That a record is about an entity: its text names it, or its picture shows it.

    Attributes:
        record_id: The record, with which it goes.
        entity_id: The entity; of none yet, it becomes one of that name.
        weight: How certain it is, from `LIGHTEST` to `HEAVIEST`.
        linked: Whether linking found it. It goes when the record's text or picture becomes
            another, or when records are linked again, and gives way to one that somebody wrote.

    Raises:
        GraphError: A part is empty, too long, or nothing that can be kept.
    """

    record_id: str
    entity_id: str
    weight: float = 1.0
    linked: bool = False

    def __post_init__(self) -> None:
        _check_record(self.record_id, "a mention")
        what = f"a mention in {self.record_id!r:.80}"
        _check_name(self.entity_id, f"{what}: the entity")
        _check_weight(self.weight, what)
        if not isinstance(self.linked, bool):
            raise GraphError(f"{what}: linked must be true or false, not {self.linked!r:.80}")


@dataclass(frozen=True, slots=True)
class GraphReport:
    """What became of what was added.

    Attributes:
        entities: Entities written, new or replaced; not those that only relations name.
        relations: Relations written.
        mentions: Mentions written.
        homeless: Relations and mentions that were left out, as their record is not in the space.
        missing: The first ids of those records.
    """

    entities: int
    relations: int
    mentions: int
    homeless: int = 0
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GraphCounts:
    """How much a graph holds.

    Attributes:
        entities: Entities.
        relations: Relations.
        mentions: Mentions.
        types: How many relations there are of each type.
        embedded: Entities whose names have a vector.
    """

    entities: int = 0
    relations: int = 0
    mentions: int = 0
    types: Mapping[str, int] = field(default_factory=dict)
    embedded: int = 0


class Edge(NamedTuple):
    """A relation as seen from one of its ends.

    Attributes:
        other: The number of the entity at the other end.
        type: Which relation.
        weight: Its weight.
        outward: 1 if the end it is seen from is the subject, else 0.
    """

    other: int
    type: str
    weight: float
    outward: int


class GraphReader(ABC):
    """Reads one state of a graph; entities have numbers here, which hold for that state."""

    @property
    @abstractmethod
    def version(self) -> int:
        """A number that changes with every write to the graph; 0 while there never was one."""

    @abstractmethod
    def numbers(self, ids: Sequence[str]) -> dict[str, int]:
        """The numbers of entities by id; unknown ids are left out."""

    @abstractmethod
    def entities(self, numbers: Sequence[int]) -> dict[int, Entity]:
        """Entities by number; unknown numbers are left out."""

    def ends(self, numbers: Sequence[int]) -> dict[int, Entity]:
        """Entities that this state's relations and mentions lead to, so that they must be there.

        Raises:
            CorruptStoreError: One is not.
        """
        found = self.entities(numbers)
        if len(found) < len(set(numbers)):
            raise CorruptStoreError(
                "the graph of this space is damaged (it leads to an entity that is not there); "
                "restore the space from a copy, or save the rest: `unisem store export --salvage`"
            )
        return found

    @abstractmethod
    def named(self, names: Sequence[str]) -> dict[str, list[int]]:
        """Which entities have one of these names, or an alias; see `spoken`."""

    @abstractmethod
    def edges(
        self,
        number: int,
        most: int,
        types: Sequence[str] | None = None,
        way: Way = "both",
    ) -> list[Edge]:
        """An entity's relations, the heaviest first, at most so many; a self-link comes once."""

    @abstractmethod
    def relations_of(
        self, number: int, most: int | None = None, types: Sequence[str] | None = None
    ) -> list[Relation]:
        """As `edges`, either way, as they were added."""

    @abstractmethod
    def mentions_of(self, record_ids: Sequence[str]) -> list[tuple[str, int, float]]:
        """What records mention: record, entity's number, weight; heaviest first for each record."""

    @abstractmethod
    def mentioning(
        self, numbers: Sequence[int], most: int, selection: Selection
    ) -> list[list[tuple[str, float]]]:
        """The selected records that mention each entity, with weights, the heaviest first.

        Args:
            numbers: Of entities.
            most: How many records at most of each.
            selection: Which records.
        """

    @abstractmethod
    def vectors(self) -> tuple[NDArray[np.int64], Vector]:
        """Entities' numbers, ascending, and ``(n, d)`` float32 vectors of their names."""

    @abstractmethod
    def counts(self) -> GraphCounts:
        """How much there is."""

    @abstractmethod
    def every_entity(self, after: int, most: int) -> list[tuple[int, Entity]]:
        """The next entities after a number, by ascending number."""

    @abstractmethod
    def every_relation(self) -> Iterator[Relation]:
        """All relations, to be read while the state is held."""

    @abstractmethod
    def every_mention(self) -> Iterator[Mention]:
        """All mentions, to be read while the state is held."""


class GraphStore(ABC):
    """Keeps a graph beside a store's records, and in step with them.

    A record that is deleted takes its mentions and the relations found in it along. One that is
    replaced keeps them, but for mentions that linking found in another text or picture.
    """

    @abstractmethod
    def reading(self) -> AbstractContextManager[GraphReader]:
        """Hold one state, of records and graph, to read it."""

    @abstractmethod
    def add(
        self,
        entities: Iterable[Entity] = (),
        relations: Iterable[Relation] = (),
        mentions: Iterable[Mention] = (),
    ) -> GraphReport:
        """Insert, or replace; all of it or nothing, however much it is.

        What is given is read as it is written, so a million relations need no memory.

        Raises:
            GraphError: Something cannot be kept; nothing was added.
            StoreError: The disk refused; nothing was added.
            StoreLockedError: Another process is writing.
        """

    @abstractmethod
    def relink(self, mentions: Iterable[Mention]) -> GraphReport:
        """Replace all mentions that linking found before by these; others stay as they are.

        Returns:
            Its ``mentions`` are those that are new: somebody had not written them already.

        Raises:
            GraphError, StoreError, StoreLockedError: As `add`.
        """

    @abstractmethod
    def remove(
        self,
        entities: Sequence[str] = (),
        relations: Sequence[Relation] = (),
        records: Sequence[str] = (),
    ) -> int:
        """Remove entities with all that is about them, relations, and what records say.

        Args:
            entities: Ids.
            relations: By subject, type, object and record.
            records: Ids; their mentions and the relations found in them go, the records stay.

        Returns:
            How many entities, relations and mentions went.
        """

    @abstractmethod
    def rename(self, records: Mapping[str, str], forgotten: Sequence[str] = ()) -> None:
        """Let what records say be said by others from now on, all of it or nothing.

        Args:
            records: Old ids, each with its new one; two may change places.
            forgotten: What these say goes before, unless they are among the old ids.
        """

    @abstractmethod
    def clear(self) -> None:
        """Remove all of the graph; records stay."""

    @abstractmethod
    def set_vectors(self, vectors: Mapping[int, Vector], encoder: str) -> None:
        """Keep vectors of entities' names, by number; those of another encoder go.

        Args:
            vectors: ``(d,)`` float32 unit vectors.
            encoder: The fingerprint of what made them.
        """

    @abstractmethod
    def name_vectors(self) -> tuple[NDArray[np.int64], Vector]:
        """As `GraphReader.vectors`, remembered until the next write to the graph."""

    @abstractmethod
    def encoder(self) -> str | None:
        """The fingerprint of what made the vectors; ``None`` if there are none."""


def is_name(text: str) -> bool:
    """Whether a text can be an id, a name or a type."""
    try:
        _check_name(text, "a name")
    except GraphError:
        return False
    return True


def _check_name(value: object, what: str) -> None:
    if type(value) is str and value.isascii() and value.isprintable() and 0 < len(value) <= LONGEST:
        if value.isspace():
            raise GraphError(f"{what} must not be empty")
        return  # as most are; asked before the checks, which say what is wrong
    if not isinstance(value, str):
        raise GraphError(f"{what} must be a string, not {type(value).__name__}")
    if not value.strip():
        raise GraphError(f"{what} must not be empty")
    if len(value) > LONGEST:
        raise GraphError(f"{what} is longer than {LONGEST} characters: {value[:40]!r}…; shorten it")
    _check_text(value, what)


def _check_record(value: object, what: str) -> None:
    if not isinstance(value, str) or not value:
        raise GraphError(f"{what}: record_id must be a record's id, not {value!r:.80}")
    _check_text(value, f"{what}: record_id")


def _check_text(value: str, what: str) -> None:
    if "\0" in value:
        raise GraphError(f"{what} holds a NUL character; replace it, it cannot be found by")
    try:
        check_unicode(value, what)
    except RecordError as error:
        raise GraphError(str(error)) from None


def _check_weight(value: Any, what: str) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not LIGHTEST <= value <= HEAVIEST:  # not a number neither
        raise GraphError(f"{what}: weight must be from {LIGHTEST:g} to {HEAVIEST:g}, not {value!r}")


def _check_properties(owner: Entity | Relation, what: str) -> None:
    if not isinstance(owner.properties, Mapping):
        raise GraphError(
            f"{what}: properties must be a dictionary, not {type(owner.properties).__name__}"
        )
    try:
        check_json(owner.properties, f"{what}: properties")
    except RecordError as error:
        raise GraphError(str(error)) from None
    object.__setattr__(owner, "properties", dict(owner.properties))
