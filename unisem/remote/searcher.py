"""`RemoteSearcher`: queries that a service runs, as far as they can be sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from unisem.errors import ImageError
from unisem.images.reference import ImageRef
from unisem.remote.encoder import RemoteEncoder
from unisem.remote.space import RemoteSpace
from unisem.remote.store import RemoteStore
from unisem.search.fusion import RankFusion, WeightedFusion
from unisem.search.query import Query
from unisem.search.searcher import Searcher
from unisem.stores.hits import Hit
from unisem.stores.vectors import unit
from unisem.wire.answers import FoundMany
from unisem.wire.query import WireQuery
from unisem.wire.requests import Queries


class RemoteSearcher(Searcher):
    """Sends queries whole, many at once, and the service answers them as its space does.

    A reranker or a fusion of the caller's own cannot be sent: such a query is run here, step by
    step, with the space's encoder and store, and gives the same.

    Args:
        space: The space.
        encoder: Its encoder.
        store: Its store.
    """

    def __init__(self, space: RemoteSpace, encoder: RemoteEncoder, store: RemoteStore) -> None:
        super().__init__(encoder, store)
        self._space = space

    def search_many(self, queries: Sequence[Query]) -> list[list[Hit]]:
        """See `Searchable`."""
        found: dict[int, list[Hit]] = {}
        near = [place for place, query in enumerate(queries) if not _can_be_sent(query)]
        for place, hits in zip(
            near, super().search_many([queries[it] for it in near]), strict=True
        ):
            found[place] = hits
        far = [place for place, query in enumerate(queries) if _can_be_sent(query)]
        for batch in self._batches((place, self._wire(queries[place])) for place in far):
            try:
                answers = self._sent([query for _, query in batch])
            except ImageError:  # to say which
                answers = [self._alone(query, queries[place]) for place, query in batch]
            found.update(zip((place for place, _ in batch), answers, strict=True))
        return [found[place] for place in range(len(queries))]

    def _sent(self, queries: list[WireQuery]) -> list[list[Hit]]:
        answer = self._space.ask(FoundMany, "/search/batch", Queries(queries=queries))
        return [[self._space.hit_of(hit) for hit in one.hits] for one in answer.results]

    def _alone(self, wire: WireQuery, query: Query) -> list[Hit]:
        """One query's hits; its picture is called by its name here."""
        try:
            return self._sent([wire])[0]
        except ImageError as error:
            if not isinstance(query.image, ImageRef):
                raise
            raise error.named(query.image.name) from error

    def _wire(self, query: Query) -> WireQuery:
        """A query to be sent; a ready vector is brought to length 1 before it is rounded."""
        parts: dict[str, Any] = {}
        if query.vector is not None:
            parts["vector"] = unit(query.vector, "the query's vector")
        if isinstance(query.image, ImageRef):
            parts["image"] = ImageRef(data=self._space.read_picture(query.image))
        return WireQuery.of(replace(query, **parts))

    def _batches(
        self, queries: Iterable[tuple[int, WireQuery]]
    ) -> Iterator[list[tuple[int, WireQuery]]]:
        """As many queries as one request may have, by their number, pictures, hits and bytes."""
        limits = self._space.limits
        batch: list[tuple[int, WireQuery]] = []
        images = hits = size = 0
        for place, query in queries:
            pictures = int(query.image is not None)
            length = self._space.weight(query.model_dump_json().encode())
            wanted = query.k * (1 + query.neighbors)
            is_full = len(batch) == limits.queries or images + pictures > limits.images
            is_full = is_full or hits + wanted > limits.hits
            if batch and (is_full or size + length > self._space.room):
                yield batch
                batch, images, hits, size = [], 0, 0, 0
            batch.append((place, query))
            images += pictures
            hits += wanted
            size += length
        if batch:
            yield batch


def _can_be_sent(query: Query) -> bool:
    fusions = [query.fusion, *([] if query.graph is None else [query.graph.fused_by])]
    known = all(type(fusion) in (RankFusion, WeightedFusion) for fusion in fusions)
    return query.reranker is None and known
