"""`Expander`: a query's hits, and what a knowledge graph adds to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from unisem.encoders import Encoder
from unisem.graph.linking import by_vector, by_whole, by_words, combined
from unisem.graph.walking import Reached, narrower, spread
from unisem.records import Vector
from unisem.search.graph_expansion import GraphExpansion
from unisem.search.query import Query
from unisem.stores import Store
from unisem.stores.graph import GraphReader
from unisem.stores.hits import Hit

_MOST_LINKS = 16  # entities that a query's words and meaning are linked with
_BY_MEANING = 0.5  # what links by meaning count beside those by words
_OF_HITS = 0.5  # what the entities of the first hits count beside those that the query names
_MOST_ENTITIES = 64  # of a walk, the heaviest, whose records are looked up


class Expander:
    """Adds to a query's hits what the graph leads to.

    1. **Link.** Entities that the query's words name, and, where names have vectors, those nearest
       to its meaning; for a walk the entities of its first hits as well. Narrower terms are looked
       for only where the whole query is a name: where it says more, they lead away from that.
    2. **Walk** from there; see `unisem.graph.walking`.
    3. **Look up.** After a walk records count the weights of what they mention, times one more than
       their cosine, so that of a hundred pictures of banjos the likeliest come first. Narrower
       terms, and the name itself, as a guitar is a kind of guitar, are looked for as further
       texts, all in one search; a record counts its best cosine.
    4. **Fuse** with the query's own hits. The query's selection holds for every record.

    Args:
        store: Keeps records and graph.
        encoder: Makes vectors of narrower terms; ``None`` if queries have ready ones.
    """

    def __init__(self, store: Store, encoder: Encoder | None) -> None:
        self._store = store
        self._encoder = encoder

    def expanded(self, query: Query, hits: list[Hit], vector: Vector | None) -> list[Hit]:
        """The query's candidates and those of the graph as one list, best first.

        Args:
            query: The query, which has an expansion.
            hits: Its own candidates, best first.
            vector: Its ``(d,)`` unit vector; ``None`` where none is compared.

        Raises:
            StoreError: The store keeps no graph.
        """
        how = query.graph
        assert how is not None
        if how.method == "taxonomy":
            added = self._by_terms(query, how)
        else:
            added = self._by_mentions(query, how, hits, vector)
        if not added:
            return hits
        paths = {hit.record.id: hit.path for hit in added}
        fused = how.fused_by.fuse(hits, added)
        return [replace(hit, path=paths.get(hit.record.id, ())) for hit in fused]

    def _by_mentions(
        self, query: Query, how: GraphExpansion, hits: list[Hit], vector: Vector | None
    ) -> list[Hit]:
        meaning = self._by_meaning(vector)
        with self._store.graph.reading() as reader:
            near = reader.entities(list(meaning))  # without those that were removed just now
            meaning = {number: share for number, share in meaning.items() if number in near}
            seeds = _shares(self._links(reader, query, meaning), 1.0)
            named = list(seeds)
            told = _told_by(reader, [hit.record.id for hit in hits[: how.seed_hits]])
            for number, weight in _shares(told, _OF_HITS if seeds else 1.0).items():
                seeds[number] = seeds.get(number, 0.0) + weight
            if not seeds:
                return []
            reached = spread(
                reader,
                seeds,
                depth=how.depth,
                limit=how.limit,
                types=how.type_weights,
                damping=how.damping,
                named=named,
            )
            found = _mentioned(reader, reached, query)
            paths = _named(reader, reached, {number for _, number in found.values()})
        return [
            replace(hit, score=found[hit.record.id][0] * (1 + hit.score), path=paths[number])
            for hit in self._compared(query, list(found), vector)
            for number in [found[hit.record.id][1]]
        ]

    def _by_terms(self, query: Query, how: GraphExpansion) -> list[Hit]:
        if self._encoder is None:
            raise ValueError("without an encoder narrower terms cannot be looked for")
        with self._store.graph.reading() as reader:
            seeds = {} if query.text is None else by_whole(reader, query.text)
            most = len(seeds) + how.terms
            reached = narrower(reader, seeds, depth=how.depth, limit=how.limit, most=most)
            if len(reached.before) == len(seeds):
                return []
            terms = list(reached.before)
            paths = _named(reader, reached, terms)
        texts = [paths[number][-1] for number in terms]
        paths |= dict.fromkeys(seeds, ())  # what the name itself finds, no relation led to
        vectors = self._encoder.encode_texts(texts, role="query")
        best: dict[str, Hit] = {}
        # The best k of all terms are among the best k of each; the rest only fills up the list.
        each = max(query.k, -(-query.candidates // len(terms)))
        lists = self._store.search(vectors, each, query.selection, query.match, "text")
        for number, list_of_term in zip(terms, lists, strict=True):
            for hit in list_of_term:
                known = best.get(hit.record.id)
                if known is None or hit.score > known.score:
                    best[hit.record.id] = replace(hit, path=paths[number])
        ordered = sorted(best.values(), key=lambda hit: (-hit.score, hit.record.id))
        return ordered[: query.candidates]

    def _by_meaning(self, vector: Vector | None) -> dict[int, float]:
        """Entities whose names are near to the query's vector, where names have vectors."""
        graph, encoder = self._store.graph, self._encoder
        if vector is None or encoder is None or graph.encoder() != encoder.fingerprint:
            return {}
        numbers, names = graph.name_vectors()
        return by_vector(numbers, names, vector, _MOST_LINKS)

    def _links(
        self, reader: GraphReader, query: Query, meaning: dict[int, float]
    ) -> list[tuple[int, float]]:
        words = {} if query.text is None else by_words(reader, query.text)
        return combined(words, meaning, _BY_MEANING)[:_MOST_LINKS]

    def _compared(self, query: Query, ids: list[str], vector: Vector | None) -> list[Hit]:
        """Records as hits with their cosines; with 0 where the query has no vector."""
        selection = replace(query.selection, ids=tuple(ids))
        if vector is None:
            records = self._store.select(selection)
            return [Hit(record, 0.0, record.modality) for record in records]
        found = self._store.search(vector[None], len(ids), selection, query.match, query.kind)
        return found[0]


def _told_by(reader: GraphReader, record_ids: list[str]) -> list[tuple[int, float]]:
    """What the first hits mention; the second half as much as the first, the third a third."""
    places = {name: place for place, name in enumerate(record_ids, start=1)}
    mentions = reader.mentions_of(record_ids)
    return [(number, weight / places[name]) for name, number, weight in mentions]


def _shares(links: Iterable[tuple[int, float]], total: float) -> dict[int, float]:
    weights: dict[int, float] = {}
    for number, weight in links:
        weights[number] = weights.get(number, 0.0) + weight
    whole = sum(weights.values())
    return {number: total * weight / whole for number, weight in weights.items()}


def _mentioned(reader: GraphReader, reached: Reached, query: Query) -> dict[str, tuple[float, int]]:
    """Records by what they mention: their weights, and the entity to which each owes most."""
    heaviest = sorted(reached.weights, key=lambda number: (-reached.weights[number], number))
    weights: dict[str, float] = {}
    best: dict[str, tuple[float, int]] = {}
    looked_up = heaviest[:_MOST_ENTITIES]
    mentioning = reader.mentioning(looked_up, query.candidates, query.selection)
    for number, records in zip(looked_up, mentioning, strict=True):
        rank = reached.weights[number]
        for record, weight in records:
            share = rank * weight
            weights[record] = weights.get(record, 0.0) + share
            if record not in best or share > best[record][0]:
                best[record] = share, number
    first = sorted(weights, key=lambda record: (-weights[record], record))[: query.candidates]
    return {record: (weights[record], best[record][1]) for record in first}


def _named(
    reader: GraphReader, reached: Reached, numbers: Iterable[int]
) -> dict[int, tuple[str, ...]]:
    """The paths to entities, as names."""
    paths = {number: reached.path(number) for number in numbers}
    found = reader.ends(sorted({step for path in paths.values() for step in path}))
    return {number: tuple(found[step].name for step in path) for number, path in paths.items()}
