"""`streamed`: the hits of one query, one after the other, while their records are being read."""

from __future__ import annotations

from collections.abc import Iterator

from unisem.recognition.words import words_of
from unisem.records import Vector
from unisem.search.query import Query
from unisem.search.shown import pictures_shown, shown_id
from unisem.stores import Store
from unisem.stores.hits import Hit


def in_the_way(query: Query) -> str | None:
    """What of a query looks at all its hits before the first is known; ``None`` if nothing does."""
    asked = {
        f'mode "{query.mode}"': query.mode != "vector",
        "diversity": query.diversity is not None,
        "a reranker": query.reranker is not None,
        f'duplicates="{query.duplicates}"': query.duplicates != "keep",
        "neighbors": query.neighbors > 0,
        "graph": query.graph is not None,
    }
    return next((name for name, is_asked in asked.items() if is_asked), None)


def check_streams(query: Query) -> None:
    """Refuse a query whose hits cannot be given one after the other.

    Raises:
        ValueError: Says what of it is in the way.
    """
    if (what := in_the_way(query)) is not None:
        raise ValueError(
            f"hits cannot be given one after the other with {what}, which looks at all of "
            "them first; use search"
        )


def passes(hit: Hit, query: Query) -> bool:
    """Whether a hit by vector is as good as its query wants."""
    if query.min_score is not None and hit.score < query.min_score:
        return False
    least = query.min_relevance
    return least is None or (hit.relevance is not None and hit.relevance >= least)


def streamed(store: Store, query: Query, vector: Vector) -> Iterator[Hit]:
    """Yield what a `Searcher` finds for a query by vector, in the same order.

    Args:
        store: Where to look.
        query: One that `check_streams` takes.
        vector: ``(d,)`` float32, the query's.
    """
    candidates = left = query.k
    shown: set[str] = set()  # pictures with words that were read in them, which may come again
    given: set[str] = set()
    pages = store.search_pages(vector, query.k, query.selection, query.match, query.kind)
    for page in pages:
        good: list[Hit] = []
        for hit in page:
            if not candidates:
                break
            name = shown_id(hit)
            candidates -= name not in shown
            if name != hit.record.id or words_of(hit.record):
                shown.add(name)
            if passes(hit, query):
                good.append(hit)
        for hit in pictures_shown(store, good, query.selection):
            if hit.record.id in given:
                continue
            if not left:
                return
            if words_of(hit.record):
                given.add(hit.record.id)
            left -= 1
            yield hit
        is_past = query.min_score is not None and page and page[-1].score < query.min_score
        if not candidates or is_past:
            return
