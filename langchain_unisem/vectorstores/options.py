"""What one search of a vector store may be told, and the core's `Query` that it becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

from langchain_core.documents import Document

from langchain_unisem.documents import record_to_document, relevance
from langchain_unisem.filters import FilterLike, to_filter
from langchain_unisem.queries import ImageQuery, image_of, text_of
from unisem.filters import Filter
from unisem.fusion import Fusion, RankFusion
from unisem.images import ImageSource
from unisem.records import Modality
from unisem.rerank import Reranker
from unisem.search import Hit, Match, Mode, Query, Selection
from unisem.space import SemanticSpace

DocumentFilter = FilterLike | Callable[[Document], bool]
"""What may stand for a filter: what `to_filter` takes, or a function that is shown documents."""


class StoreSearchOptions(TypedDict, total=False):
    """Keyword arguments of every search.

    Attributes:
        filter: Which documents may be found.
        modality: ``"image"`` for those with a picture, ``"text"`` for those without.
        match: Compare with ``"text"`` vectors, ``"image"`` vectors, or ``"any"``.
        image: A picture to search with, beside the text, or alone if the text is ``""``.
        text_weight: Share of the text, from 0 to 1, in a query of text and picture.
        mode: ``"vector"`` by meaning, ``"keyword"`` by the text's words, ``"hybrid"`` both.
        fusion: How a hybrid search's two lists become one.
        fetch_k: Candidates to choose from, for ``"hybrid"`` and maximal marginal relevance.
        score_threshold: The least relevance, from 0 to 1, of a hit by vector.
    """

    filter: DocumentFilter | None
    modality: Modality | None
    match: Match
    image: ImageSource | None
    text_weight: float
    mode: Mode
    fusion: Fusion | None
    fetch_k: int | None
    score_threshold: float | None


def search(
    space: SemanticSpace,
    query: str | ImageQuery | None,
    k: int,
    options: dict[str, Any],
    *,
    vector: Any = None,
    diversity: float | None = None,
    reranker: Reranker | None = None,
) -> list[Hit]:
    """Run one search.

    Args:
        space: Where.
        query: Text or picture; ``None`` if there is a vector.
        k: Hits at most.
        options: `StoreSearchOptions`.
        vector: A ready vector instead of a query.
        diversity: As in `unisem.search.Query`.
        reranker: As there; ``score_threshold`` is held against the scores before it.

    Raises:
        TypeError: An option is unknown, or the query is neither text nor `ImageQuery`.
        ValueError: An option is out of range, or does not suit the mode.
        FilterError: The filter means nothing.
        ImageError: The query's picture cannot be used.
    """
    _check_known(options)
    threshold = _threshold(options)
    image = options.get("image")
    text = None
    if query is not None:
        text = text_of(query)
        image = image_of(query) if image is None else image
    elif image is not None:
        raise ValueError("give a vector or an image, not both")
    hits = space.search_query(
        Query(
            text=None if image is not None and not text else text,
            image=image,
            vector=vector,
            k=k,
            selection=select(space, options.get("filter"), options.get("modality")),
            match=options.get("match", "any"),
            text_weight=options.get("text_weight", 0.5),
            mode=options.get("mode", "vector"),
            fusion=options.get("fusion") or RankFusion(),
            fetch_k=options.get("fetch_k"),
            # A hair less than asked, as halving and doubling round; what is too little goes below.
            min_score=None if threshold is None else 2 * threshold - 1 - 1e-9,
            diversity=diversity,
            reranker=reranker,
        )
    )
    if threshold is None or reranker is not None:
        return hits
    return [hit for hit in hits if relevance(hit.score) >= threshold]


def select(
    space: SemanticSpace, condition: DocumentFilter | None, modality: Modality | None = None
) -> Selection:
    """Return the selection that a filter means.

    A function is called with every document of the modality, in a copy, before the search; the
    search then looks among those for which it was true. That is exact, and takes time that grows
    with the store.

    Raises:
        FilterError: The filter means nothing.
    """
    if callable(condition) and not isinstance(condition, Filter):
        candidates = space.store.select(Selection(modality=modality))
        ids = [record.id for record in candidates if condition(record_to_document(record))]
        return Selection(ids=tuple(ids), modality=modality)
    return Selection(filter=to_filter(condition), modality=modality)


def _check_known(options: dict[str, Any]) -> None:
    if unknown := options.keys() - StoreSearchOptions.__annotations__.keys():
        raise TypeError(
            f"unknown search option {', '.join(sorted(unknown))}; "
            f"known are k, {', '.join(StoreSearchOptions.__annotations__)}"
        )


def _threshold(options: dict[str, Any]) -> float | None:
    threshold = options.get("score_threshold")
    if threshold is None:
        return None
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        raise ValueError(f"score_threshold must be a number from 0 to 1, not {threshold!r}")
    if not 0 <= threshold <= 1:
        raise ValueError(f"score_threshold must be between 0 and 1, not {threshold!r}")
    if options.get("mode", "vector") != "vector":
        raise ValueError('score_threshold is a relevance, which only mode "vector" has')
    return float(threshold)
