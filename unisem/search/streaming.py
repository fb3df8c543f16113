"""`streamed`: the hits of one query, one after the other, while their records are being read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from unisem.recognition.words import words_of
from unisem.records import Vector
from unisem.search.duplicates import with_copies, without_duplicates
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
        'duplicates="near"': query.duplicates == "near",
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
    if query.k:
        pages = store.search_pages(vector, query.k, query.selection, query.match, query.kind)
        yield from _Stream(store, query).hits(pages)


class _Stream:
    """What has to be known of the pages before, so that no later one shows it again.

    Of pictures only those of which there are several records, and words that were read in them: of
    all others nothing, however many hits there are.
    """

    def __init__(self, store: Store, query: Query) -> None:
        self._store = store
        self._query = query
        self._copied: set[str] = set()  # digests of hits, and of pictures in whose words they were
        self._compared: set[str] = set()  # those of pictures that were compared themselves
        self._named: set[str] = set()  # pictures with words, which may come again
        self._given: set[str] = set()  # those of them that were hits
        self._looked_at, self._most = 0, query.k  # records, as many as `Searcher` fetches
        self._shown = self._found = 0

    def hits(self, pages: Iterator[list[Hit]]) -> Iterator[Hit]:
        """See `streamed`."""
        query = self._query
        for page in pages:
            rest = page
            while rest:
                run, rest = self._run(rest)
                for hit in self._told(run):
                    yield hit
                    self._found += 1
                    if self._found == query.k:
                        return
                if self._looked_at == self._most:
                    if self._found == self._shown:
                        return
                    self._most *= 4  # as words have turned out to be copies
            if query.min_score is not None and page and page[-1].score < query.min_score:
                return

    def _run(self, page: list[Hit]) -> tuple[list[Hit], list[Hit]]:
        """As much of a page as is looked at together, without copies, and what is left of it."""
        run: list[Hit] = []
        hits = self._first_of(page, self._compared)
        for place, hit in enumerate(hits):
            if self._looked_at == self._most:
                return run, hits[place:]
            name = shown_id(hit)
            self._looked_at += name not in self._named
            if name != hit.record.id or words_of(hit.record):
                self._named.add(name)
            run.append(hit)
        return run, []

    def _told(self, run: list[Hit]) -> list[Hit]:
        """The hits of a run."""
        query = self._query
        good: list[Hit] = []
        poor: list[Hit] = []
        for hit in run:
            (good if passes(hit, query) else poor).append(hit)
        shown = [
            hit
            for hit in pictures_shown(self._store, good, query.selection)
            if hit.record.id not in self._given
        ]
        self._given.update(hit.record.id for hit in shown if words_of(hit.record))
        self._shown += len(shown)
        if query.duplicates == "keep":
            return shown
        found = self._first_of(shown, self._copied)
        told = with_copies(self._store, [*found, *poor], query.selection)
        self._copied |= _digests(hit for hit in told[: len(found)] if hit.copies)
        several = self._copied | _digests(hit for hit in told if hit.copies)
        self._compared |= _digests(run) & several
        return told[: len(found)]

    def _first_of(self, hits: list[Hit], seen: set[str]) -> list[Hit]:
        """The hits whose picture has not been seen."""
        return [
            hit
            for hit in without_duplicates(hits, self._query.duplicates)
            if _digest(hit) not in seen
        ]


def _digest(hit: Hit) -> str | None:
    return None if hit.record.image is None else hit.record.image.sha256


def _digests(hits: Iterable[Hit]) -> set[str]:
    return {digest for hit in hits if (digest := _digest(hit)) is not None}
