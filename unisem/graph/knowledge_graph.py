"""`KnowledgeGraph`: what a space knows of the things its records are about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from unisem.encoders import Encoder
from unisem.errors import GraphError
from unisem.graph.linking import RIVALS, Link, by_vector, by_words, combined, shown
from unisem.records import EmbeddedRecord, Vector
from unisem.stores import Store
from unisem.stores.graph import (
    LIGHTEST,
    Entity,
    GraphCounts,
    GraphReader,
    GraphReport,
    GraphStore,
    Mention,
    Relation,
)
from unisem.stores.selection import EVERYTHING

_PAGE = 1024
_SHARE = 0.5  # of links by vector beside links by words


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An entity that a relation leads to.

    Attributes:
        entity: The entity.
        type: Which relation.
        weight: The relation's weight.
        outward: Whether the relation is read away from where one stands, to this entity.
    """

    entity: Entity
    type: str
    weight: float
    outward: bool


class KnowledgeGraph:
    """Entities and relations over a space's records; ``space.graph`` is one.

    It is kept with the records, and in step with them: a record that is deleted takes its mentions
    and the relations found in it along; one whose text or picture becomes another lets go of what
    linking found. See ``docs/concepts/graph.md``.

    Args:
        store: Keeps records and graph.
        encoder: Embeds names and texts, so that they are linked by what they mean.

    Raises:
        StoreError: The store keeps no graph.
    """

    def __init__(self, store: Store, encoder: Encoder | None = None) -> None:
        self._store = store
        self._graph: GraphStore = store.graph
        self._encoder = encoder

    def add(
        self,
        entities: Iterable[Entity] = (),
        relations: Iterable[Relation] = (),
        mentions: Iterable[Mention] = (),
    ) -> GraphReport:
        """Insert, or replace, in one transaction: all of it or nothing, a million as well as one.

        What is given is read as it is written and may be a generator; other calls of this process
        wait meanwhile. An end of a relation, or what is mentioned, that is no entity yet becomes
        one of that name. What belongs to a record that is not in the space is left out and
        reported.

        Raises:
            GraphError: Something cannot be kept; nothing was added.
            TypeError: An item is of another type; likewise.
            StoreError: The store refused; likewise.
        """
        return self._graph.add(entities, relations, mentions)

    def remove(
        self,
        *,
        entities: Sequence[str] = (),
        relations: Sequence[Relation] = (),
        records: Sequence[str] = (),
    ) -> int:
        """Remove entities with all that is about them, relations, and what records say.

        Args:
            entities: Ids; unknown ones are no error.
            relations: By subject, type, object and record.
            records: Ids; their mentions and the relations found in them go, the records stay.

        Returns:
            How many entities, relations and mentions went.
        """
        for name, ids in (("entities", entities), ("records", records)):
            if isinstance(ids, str):
                raise TypeError(f"{name} must be a list of ids, for example [{ids!r}]")
            if stranger := next((it for it in ids if not isinstance(it, str)), None):
                raise TypeError(f"{name} must be a list of ids, and {stranger!r:.80} is none")
        if isinstance(relations, Relation):
            raise TypeError("relations must be a list of them, for example [relation]")
        for it in relations:
            if not isinstance(it, Relation):
                raise TypeError(f"relations: {it!r:.80} is no Relation")
        return self._graph.remove(entities, relations, records)

    def clear(self) -> None:
        """Remove the whole graph; records stay."""
        self._graph.clear()

    def get(self, ids: Sequence[str]) -> list[Entity | None]:
        """The entity of each id, in order; ``None`` where there is none."""
        if isinstance(ids, str):
            raise TypeError(f"ids must be a list of ids, for example [{ids!r}]")
        with self._graph.reading() as reader:
            numbers = reader.numbers(ids)
            found = reader.entities(list(numbers.values()))
        return [found.get(numbers.get(name, -1)) for name in ids]

    def entities(self, name: str | None = None) -> Iterator[Entity]:
        """All entities, or those that are called so, or have it for an alias.

        Args:
            name: Compared without case, accents and punctuation.
        """
        if name is not None:
            with self._graph.reading() as reader:
                numbers = [number for group in reader.named([name]).values() for number in group]
                found = reader.ends(numbers)
            yield from (found[number] for number in numbers)
            return
        after = 0
        while True:
            with self._graph.reading() as reader:
                page = reader.every_entity(after, _PAGE)
            yield from (entity for _, entity in page)
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def neighbours(
        self, entity_id: str, types: Sequence[str] | None = None, limit: int = 64
    ) -> list[Neighbour]:
        """What an entity is related to, either way, the heaviest relation first.

        Args:
            entity_id: The entity; an unknown one has no neighbours.
            types: Relations of these types only.
            limit: How many at most; a hub may have a hundred thousand.
        """
        if isinstance(types, str):
            raise TypeError(f"types must be a list of types, for example [{types!r}]")
        with self._graph.reading() as reader:
            number = reader.numbers([entity_id]).get(entity_id)
            edges = [] if number is None else reader.edges(number, limit, types)
            found = reader.ends([edge.other for edge in edges])
        return [
            Neighbour(found[edge.other], edge.type, edge.weight, bool(edge.outward))
            for edge in edges
        ]

    def relations(
        self,
        of: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[Relation]:
        """Relations as they were added, each once.

        Args:
            of: Those with one of these entities at an end, of each entity the heaviest first; all
                of the graph if ``None``.
            types: Those of these types only.
            limit: How many at most of each entity, or of the graph.
        """
        for name, given in (("of", of), ("types", types)):
            if isinstance(given, str):
                raise TypeError(f"{name} must be a list, for example [{given!r}]")
        with self._graph.reading() as reader:
            if of is None:
                wanted = None if types is None else frozenset(types)
                every = reader.every_relation()
                return list(
                    islice((it for it in every if wanted is None or it.type in wanted), limit)
                )
            numbers = reader.numbers(of)
            found = [
                relation
                for name in of
                if name in numbers
                for relation in reader.relations_of(numbers[name], limit, types)
            ]
        keys = [(it.subject, it.type, it.object, it.record_id) for it in found]
        return list(dict(zip(keys, found, strict=True)).values())

    def mentioning(self, entity_id: str, limit: int = 64) -> list[str]:
        """The records that mention an entity, the most certain first.

        Args:
            entity_id: The entity; nothing mentions an unknown one.
            limit: How many at most.
        """
        with self._graph.reading() as reader:
            number = reader.numbers([entity_id]).get(entity_id)
            numbers = [] if number is None else [number]
            found = reader.mentioning(numbers, limit, EVERYTHING)
        return [record for records in found for record, _ in records]

    def link(self, text: str, *, limit: int = 8) -> list[Link]:
        """Which entities a text means, the likeliest first.

        By its words: names and aliases that stand in it, the longest where several begin at the
        same word. And, once `embed_names` has made their vectors, by meaning: the names nearest to
        the whole text. A name that several entities bear is shared among them.

        Args:
            text: A query, a caption, a sentence.
            limit: How many at most.
        """
        meaning: dict[int, float] = {}
        if self._encoder is not None and self._has_vectors():
            vector = self._encoder.encode_texts([text], role="query")[0]
            meaning = by_vector(*self._graph.name_vectors(), vector, limit)
        with self._graph.reading() as reader:
            return self._links(reader, combined(by_words(reader, text), meaning, _SHARE), limit)

    def mentioned_by(self, record_id: str) -> list[Link]:
        """Which entities a record mentions, the most certain first."""
        with self._graph.reading() as reader:
            weights = [(number, weight) for _, number, weight in reader.mentions_of([record_id])]
            return self._links(reader, weights, len(weights))

    def _links(
        self, reader: GraphReader, weights: Sequence[tuple[int, float]], limit: int
    ) -> list[Link]:
        found = reader.entities([number for number, _ in weights[:limit]])
        # One whose name was near a moment ago may have been removed.
        return [Link(found[n], weight) for n, weight in weights[:limit] if n in found]

    def embed_names(
        self, *, batch: int = 256, progress: Callable[[int, int], None] | None = None
    ) -> int:
        """Give the names of entities vectors, so that texts and pictures are linked by meaning.

        Those that have one are left alone, and each batch is kept by itself: after an interruption
        the same call goes on.

        Args:
            batch: How many at a time.
            progress: Called with (names done, names in all).

        Returns:
            How many were made.

        Raises:
            GraphError: This graph was opened without an encoder.
        """
        encoder = self._need_encoder()
        done = set(self._graph.name_vectors()[0].tolist()) if self._has_vectors() else set()
        made, after, total = 0, 0, len(self)
        while True:
            with self._graph.reading() as reader:
                page = reader.every_entity(after, batch)
            if not page:
                return made
            after = page[-1][0]
            left = [(number, entity) for number, entity in page if number not in done]
            if left:
                names = [entity.name for _, entity in left]
                vectors = encoder.encode_texts(names, role="document")
                numbers = [number for number, _ in left]
                self._graph.set_vectors(
                    dict(zip(numbers, vectors, strict=True)), encoder.fingerprint
                )
                made += len(left)
            if progress is not None:
                progress(made, total)

    def link_records(
        self,
        *,
        texts: bool = True,
        images: bool = False,
        limit: int = 5,
        progress: Callable[[int, int], None] | None = None,
    ) -> GraphReport:
        """Find out which entities the space's records mention, and keep that as mentions.

        What linking found before is replaced, in one transaction; mentions that somebody wrote
        stay as they are.

        Args:
            texts: By the words of a record's text.
            images: By its picture's vector: the names nearest to it that stand out from what any
                picture may show. `embed_names` comes first.
            limit: Mentions of a record at most, by each way.
            progress: Called with (records done, records in all).

        Raises:
            GraphError: ``images`` is asked for, and names have no vectors of this encoder.
        """
        if images and not self._has_vectors():
            raise GraphError("names have no vectors to compare pictures with; call embed_names()")
        names: tuple[NDArray[np.int64], Vector, Vector] | None = None
        if images:
            rivals = self._need_encoder().encode_texts(RIVALS, role="document")
            names = (*self._graph.name_vectors(), rivals)
        records, total, done = self._store.embedded(), len(self._store), 0
        kept: list[Mention] = []
        while page := list(islice(records, _PAGE)):
            with self._graph.reading() as reader:
                for item in page:
                    weights = self._of_record(reader, item, texts, names, limit)
                    found = reader.entities(list(weights))
                    kept += [
                        Mention(item.record.id, found[n].id, weight)
                        for n, weight in weights.items()
                        if n in found
                    ]
            done += len(page)
            if progress is not None:
                progress(done, total)
        return self._graph.relink(kept)

    def _of_record(
        self,
        reader: GraphReader,
        item: EmbeddedRecord,
        texts: bool,
        names: tuple[NDArray[np.int64], Vector, Vector] | None,
        limit: int,
    ) -> dict[int, float]:
        weights: dict[int, float] = {}
        if texts and item.record.text:
            best = combined(by_words(reader, item.record.text), {}, 0)[:limit]
            weights |= dict(best)
        if names is not None and "image" in item.vectors:
            vector = np.atleast_2d(item.vectors["image"])[0]
            for number, weight in shown(*names, vector, limit).items():
                weights[number] = max(weights.get(number, 0.0), weight)
        return {number: weight for number, weight in weights.items() if weight >= LIGHTEST}

    def _has_vectors(self) -> bool:
        encoder = self._encoder
        return encoder is not None and self._graph.encoder() == encoder.fingerprint

    def _need_encoder(self) -> Encoder:
        if self._encoder is None:
            raise GraphError("names are embedded by an encoder; open the graph as space.graph")
        return self._encoder

    @property
    def counts(self) -> GraphCounts:
        """How many entities, relations by type, mentions and names with a vector there are."""
        with self._graph.reading() as reader:
            return reader.counts()

    def __len__(self) -> int:
        """How many entities there are."""
        with self._graph.reading() as reader:
            return reader.counts().entities

    def __bool__(self) -> bool:
        return True  # an empty one, too

    def __repr__(self) -> str:
        counts = self.counts
        return (
            f"KnowledgeGraph({counts.entities:,} entities, {counts.relations:,} relations, "
            f"{counts.mentions:,} mentions)"
        )
