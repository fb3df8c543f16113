"""`Searcher`: how queries become hits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from unisem.calibration import Calibration
from unisem.calibration.kinds import DOCUMENT_KINDS, DocumentKind
from unisem.encoders import Encoder
from unisem.errors import CalibrationError
from unisem.images.reference import ImageRef
from unisem.records import Vector
from unisem.search.composition import Asked, vectors_of
from unisem.search.diversity import choose, likeness_of
from unisem.search.duplicates import with_copies, without_duplicates
from unisem.search.neighbors import with_neighbors
from unisem.search.query import Query
from unisem.search.reranking import Reranking
from unisem.search.searchable import Searchable
from unisem.search.shown import pictures_shown, shown_id
from unisem.search.streaming import check_streams, passes, streamed
from unisem.stores import Store
from unisem.stores.hits import Hit
from unisem.stores.vectors import unit

_NAMES = {"text": "text", "image": "picture", "both": "picture with its text"}
_ASKED = {"text": "text", "image": "pictures", "both": "text and picture"}


class Searcher(Searchable):
    """Runs queries over an encoder and a store, many at once where they can share work.

    1. **Embed.** The texts of all queries that compare vectors are encoded in one call, and so are
       their pictures.
    2. **Fetch.** Queries of the same selection, match and number of candidates are one search of
       the store; `Query.min_score` and `Query.min_relevance` cut their lists. Keywords are looked
       up query by query. Copies of a picture make way, see `Query.duplicates`, and as many more
       hits are fetched.
    3. **Fuse.** A hybrid query's two lists become one.
    4. **Expand.** With `Query.graph` what a knowledge graph leads to is fused in; see `Expander`.
    5. **Rerank.** `Query.reranker` orders the candidates anew, query by query; see `Reranking`.
    6. **Show.** Words that were read in a picture become the picture, which is one hit however it
       was found; see `unisem.search.shown`. As many more hits are fetched.
    7. **Choose.** The first ``k``, or with `Query.diversity` those ``k`` that say different things.
       The choice weighs the cosine to the query against the cosines among the hits, in a calibrated
       space both as that sees them; scores that are no cosines count as their share of the best
       one, and a reranker's from 0, the least, to 1, the best.
    8. **Tell.** Each hit is given the other records that have its picture.
    9. **Surround.** With `Query.neighbors` each hit brings the records around it.

    Args:
        encoder: Makes vectors of texts and pictures; ``None`` if all queries have ready ones.
        store: Where to look.
        directory: Where a reranker finds what it keeps of the records; ``None`` if nowhere.
    """

    def __init__(
        self, encoder: Encoder | None, store: Store, directory: Path | None = None
    ) -> None:
        self._encoder = encoder
        self._store = store
        self._directory = directory

    def search_many(self, queries: Sequence[Query]) -> list[list[Hit]]:
        """See `Searchable`."""
        return [
            with_neighbors(
                self._store, self._telling(query, hits), query.neighbors, query.selection
            )
            for query, hits in zip(queries, self._chosen(queries), strict=True)
        ]

    def _chosen(self, queries: Sequence[Query]) -> list[list[Hit]]:
        """The hits of each query, by themselves."""
        vectors, by_vector = self._by_vector(queries)
        return [
            self._choose(query, self._candidates(query, hits, vector))[: query.k]
            for query, hits, vector in zip(queries, by_vector, vectors, strict=True)
        ]

    def _telling(self, query: Query, hits: list[Hit]) -> list[Hit]:
        if query.duplicates == "keep":
            return hits
        return with_copies(self._store, hits, query.selection)

    def iterate(self, query: Query) -> Iterator[Hit]:
        """See `Searchable`."""
        check_streams(query)
        self._check_relevance(query)
        return streamed(self._store, query, self.embed([query])[0])

    def embed(self, queries: Sequence[Query]) -> list[Vector]:
        """Each query's ``(d,)`` float32 unit vector; for text and picture see `vectors_of`.

        Raises:
            ImageError: A query's picture cannot be used.
            VectorError: A vector is zero, not finite, or no row of numbers.
            ValueError: There is no encoder, and a query has no vector.
        """
        asked = [
            Asked(query.text, query.image, query.text_weight)
            for query in queries
            if query.vector is None
        ]
        if asked and self._encoder is None:
            raise ValueError("without an encoder a query needs a vector")
        made = iter(() if self._encoder is None else vectors_of(self._encoder, asked))
        return [
            next(made) if query.vector is None else unit(query.vector, "the query's vector")
            for query in queries
        ]

    def _by_vector(self, queries: Sequence[Query]) -> tuple[list[Vector | None], list[list[Hit]]]:
        """Vectors and hits of the queries; those by keyword have neither."""
        embedded: list[Vector | None] = [None for _ in queries]
        found: list[list[Hit]] = [[] for _ in queries]
        places = [place for place, query in enumerate(queries) if query.mode != "keyword"]
        for place in places:
            self._check_relevance(queries[place])
        groups: dict[tuple[object, ...], list[tuple[int, Vector]]] = {}
        for place, vector in zip(places, self.embed([queries[p] for p in places]), strict=True):
            query, embedded[place] = queries[place], vector
            # By their text, as filters on True and on 1 are equal to Python and are not the same.
            key = (
                repr(query.selection),
                query.match,
                query.kind,
                query.vector_candidates,
                query.duplicates,
                len(vector),
            )
            groups.setdefault(key, []).append((place, vector))
        for group in groups.values():
            vectors = np.stack([vector for _, vector in group])
            lists = self._nearest(queries[group[0][0]], vectors)
            for (place, _), hits in zip(group, lists, strict=True):
                found[place] = [hit for hit in hits if passes(hit, queries[place])]
        return embedded, found

    def _nearest(self, query: Query, vectors: Vector) -> list[list[Hit]]:
        """The candidates by vector of queries that want alike, of any score."""
        return _candidates(
            query, query.vector_candidates, partial(self._by_vectors, query, vectors)
        )

    def _check_relevance(self, query: Query) -> None:
        """Refuse a query for probabilities that nobody knows.

        Raises:
            CalibrationError: Says which, and what to do.
        """
        if query.min_relevance is None:
            return
        calibration = self._store.calibration
        if calibration is None:
            raise CalibrationError(
                "min_relevance needs a calibration, which knows how probable it is that a hit is "
                "relevant; space.calibrate() fits one, and min_score needs none"
            )
        kinds = tuple(calibration.documents_of) if query.match == "any" else (query.match,)
        unknown = [kind for kind in kinds if calibration.pair(query.kind, kind).slope is None]
        if unknown:
            known = [kind for kind in kinds if kind not in unknown and len(kinds) > 1]
            remedy = f'; compare with match="{known[0]}"' if known else ""
            raise CalibrationError(
                f"how probable it is that a {_NAMES[unknown[0]]} is relevant to a query of "
                f"{_ASKED[query.kind]} is not known: captions tell it, and texts of several words, "
                f"and the space was calibrated without enough of them{remedy}, or use min_score"
            )

    def _by_vectors(self, query: Query, vectors: Vector, count: int) -> list[list[Hit]]:
        return self._store.search(vectors, count, query.selection, query.match, query.kind)

    def _fetched(self, query: Query, by_vector: list[Hit]) -> list[Hit]:
        if query.mode == "vector":
            return by_vector
        assert query.text is not None  # a `Query` checks that
        (by_keyword,) = _candidates(
            query, query.word_candidates, partial(self._by_words, query, query.text)
        )
        if query.mode == "keyword":
            return by_keyword
        fused = query.fusion.fuse(by_vector, by_keyword)
        return without_duplicates(fused, query.duplicates)

    def _by_words(self, query: Query, text: str, count: int) -> list[list[Hit]]:
        return [self._store.search_words(text, count, query.selection)]

    def _reranked(self, query: Query, hits: list[Hit]) -> list[Hit]:
        assert query.reranker is not None  # the caller checks that
        assert query.image is None or isinstance(query.image, ImageRef)  # a `Query` makes it one
        reranking = Reranking.of(query.reranker).at(self._directory)
        return reranking.reorder(query.text, query.image, hits)

    def _candidates(self, query: Query, by_vector: list[Hit], vector: Vector | None) -> list[Hit]:
        """What a query chooses from, best first.

        Args:
            query: The query.
            by_vector: Its hits by vector.
            vector: Its vector.
        """
        wider, before = query, 0
        while True:
            fetched = self._fetched(wider, by_vector)
            if query.graph is not None:
                from unisem.search.expanding import Expander  # what most searches do without

                fetched = Expander(self._store, self._encoder).expanded(wider, fetched, vector)
            shown = self._pictures(query, fetched)
            found = without_duplicates(shown, query.duplicates)
            if len(found) >= min(query.k, len(shown)) or len(fetched) <= before:
                break
            # Words that were read in copies have become copies.
            wider, before = replace(wider, k=4 * wider.k), len(fetched)
            if vector is not None:
                (nearest,) = self._nearest(wider, vector[np.newaxis])
                by_vector = [hit for hit in nearest if passes(hit, query)]
        if query.reranker is None:
            return found
        return without_duplicates(
            self._pictures(query, self._reranked(query, fetched)), query.duplicates
        )

    def _pictures(self, query: Query, hits: list[Hit]) -> list[Hit]:
        return pictures_shown(self._store, hits, query.selection)

    def _choose(self, query: Query, hits: list[Hit]) -> list[Hit]:
        if not query.diversity or len(hits) < 2:
            return hits
        calibration = self._store.calibration
        candidates, groups = [], []
        stored = self._store.vectors([hit.record.id for hit in hits])
        for hit, kinds in zip(hits, stored, strict=True):
            if kinds:  # else deleted a moment ago
                if calibration is not None:
                    kinds = {kind: _seen(calibration, rows, kind) for kind, rows in kinds.items()}
                compared = [rows for kind, rows in kinds.items() if query.match in ("any", kind)]
                groups.append(np.vstack(compared or list(kinds.values())))
                candidates.append(hit)
        if not candidates:
            return []
        relevance = np.array([hit.score for hit in candidates])
        if query.reranker is not None:
            relevance = (relevance - relevance.min()) / max(np.ptp(relevance), 1e-30)
        elif query.mode != "vector" or query.graph is not None:
            relevance /= max(relevance.max(), 1e-30)
        order = choose(relevance, likeness_of(groups), query.k, balance=1 - query.diversity)
        return [candidates[position] for position in order]


def _seen(calibration: Calibration, rows: Vector, kind: DocumentKind) -> Vector:
    """Raw vectors as a calibration sees them, without hub biases."""
    given = np.atleast_2d(rows)
    searched = calibration.documents(given, np.full(len(given), DOCUMENT_KINDS.index(kind)))
    return searched[:, : calibration.dimension]


def _candidates(
    query: Query, wanted: int, fetch: Callable[[int], list[list[Hit]]]
) -> list[list[Hit]]:
    """As many hits as a query needs to choose from.

    Copies of a picture count once, unless it keeps them, and a picture with its words counts once.

    Args:
        query: The query, or one of several that want alike.
        wanted: How many.
        fetch: Gives lists of at most so many hits.
    """
    count = wanted
    while True:
        lists = fetch(count)
        found = [without_duplicates(hits, query.duplicates) for hits in lists]
        ends = [_end(hits, wanted) for hits in found]
        if all(end is not None or len(hits) < count for end, hits in zip(ends, lists, strict=True)):
            return [hits[:end] for end, hits in zip(ends, found, strict=True)]
        # As many more as by the share of those that count, and some; where few do, four times.
        counted = min(_shown(hits) for hits, end in zip(found, ends, strict=True) if end is None)
        count = min(4 * count, count * wanted * 5 // (4 * max(counted, 1)) + 8)


def _shown(hits: list[Hit]) -> int:
    """How many records are shown for so many hits."""
    return len({shown_id(hit) for hit in hits})


def _end(hits: list[Hit], wanted: int) -> int | None:
    """How many hits make so many records to be shown; ``None`` if there are too few."""
    shown: set[str] = set()
    for place, hit in enumerate(hits):
        if len(shown) == wanted:
            return place
        shown.add(shown_id(hit))
    return len(hits) if len(shown) == wanted else None
