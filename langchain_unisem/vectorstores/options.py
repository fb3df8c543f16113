"""What one search of a vector store may be told, and the core's `Query` that it becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from inspect import isawaitable, iscoroutine
from typing import Any, TypedDict

import numpy as np
from langchain_core.documents import Document

from langchain_unisem.documents import record_to_document, relevance
from langchain_unisem.filters import FilterLike, to_filter
from langchain_unisem.metadata import own_metadata
from langchain_unisem.queries import ImageQuery, image_of, text_of
from unisem.errors import FilterError
from unisem.filters import And, Filter, matches
from unisem.images.reference import ImageSource
from unisem.records import Modality, Record, Vector
from unisem.rerank import Reranker
from unisem.search.duplicates import Duplicates
from unisem.search.fusion import Fusion, RankFusion
from unisem.search.graph_expansion import GraphExpansion
from unisem.search.query import Mode, Query
from unisem.search.reranking import Reranking
from unisem.space import SemanticSpace
from unisem.stores.hits import Hit
from unisem.stores.selection import Match, Selection

DocumentFilter = FilterLike | Callable[[Document], bool]
"""What may stand for a filter: what `to_filter` takes, or a function that is shown documents."""


class CommonOptions(TypedDict, total=False):
    """Keyword arguments of every search, of a store and of a retriever.

    Attributes:
        filter: Which documents may be found.
        modality: ``"image"`` for those with a picture, ``"text"`` for those without.
        match: Compare with ``"text"`` vectors, ``"image"`` vectors, fused ones of ``"both"``, or
            ``"any"``.
        image: A picture to search with, beside the text, or alone if the text is ``""``.
        text_weight: Share of the text, from 0 to 1, in a query of text and picture.
        fusion: How a hybrid search's two lists become one.
        fetch_k: Candidates to choose from, for ``"hybrid"`` and maximal marginal relevance.
        score_threshold: The least relevance, from 0 to 1, of a hit by vector.
        min_relevance: The least probability that one is relevant; of a calibrated space.
        neighbors: How many records before and after each hit come with it, by its links.
        duplicates: Of records with the ``"same"`` picture only the best is found; with ``"near"``
            also of those that look nearly the same; with ``"keep"`` all are.
        graph: A `unisem.search.GraphExpansion`: how the space's knowledge graph takes part.
    """

    filter: DocumentFilter | None
    modality: Modality | None
    match: Match
    image: ImageSource | None
    text_weight: float
    fusion: Fusion | None
    fetch_k: int | None
    score_threshold: float | None
    min_relevance: float | None
    duplicates: Duplicates
    neighbors: int
    graph: GraphExpansion | None


class StoreSearchOptions(CommonOptions, total=False):
    """Keyword arguments of every search of a store.

    ``mode`` is ``"vector"`` by meaning, ``"keyword"`` by the text's words, ``"hybrid"`` both.
    """

    mode: Mode


def search(
    space: SemanticSpace,
    query: str | ImageQuery,
    k: int,
    options: dict[str, Any],
    *,
    vector: Vector | None = None,
    lambda_mult: float | None = None,
    reranker: Reranker | Reranking | None = None,
) -> list[Hit]:
    """Run one search.

    Args:
        space: Where.
        query: Text or picture; not looked at if there is a vector.
        k: Hits at most.
        options: `StoreSearchOptions`.
        vector: A ready vector instead of a query, see `vector_of`.
        lambda_mult: The share of relevance in maximal marginal relevance; ``None`` for none of it.
        reranker: As there; ``score_threshold`` is held against the scores before it.

    Raises:
        TypeError: An option is unknown, or the query is neither text nor `ImageQuery`.
        ValueError: An option is out of range, or does not suit the mode.
        FilterError: The filter means nothing.
        ImageError: The query's picture cannot be used.
    """
    refuse_unknown(options, ["k", *StoreSearchOptions.__annotations__])
    threshold = _threshold(options)
    modality, neighbors = options.get("modality"), options.get("neighbors", 0)
    # A function is asked about every record that may come along, of whichever modality.
    chosen = select(space, options.get("filter"), None if neighbors else modality)
    image = options.get("image")
    text = None
    if vector is None:
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
            selection=replace(chosen, modality=modality),
            match=options.get("match", "any"),
            text_weight=check_share(options.get("text_weight", 0.5), "text_weight"),
            mode=options.get("mode", "vector"),
            fusion=options.get("fusion") or RankFusion(),
            fetch_k=options.get("fetch_k"),
            # A hair less than asked, as halving and doubling round; what is too little goes below.
            min_score=None if not threshold else 2 * threshold - 1 - 1e-9,
            min_relevance=options.get("min_relevance"),
            diversity=None if lambda_mult is None else 1 - lambda_mult,
            reranker=reranker,
            duplicates=options.get("duplicates", "same"),
            neighbors=neighbors,
            graph=options.get("graph"),
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
        FilterError: The filter means nothing, or the function is asynchronous.
    """
    if callable(condition) and not isinstance(condition, Filter):
        candidates = space.store.select(Selection(modality=modality))
        ids = [record.id for record in candidates if holds(condition, record)]
        return Selection(ids=tuple(ids), modality=modality)
    return Selection(filter=to_filter(condition), modality=modality)


def holds(condition: Callable[[Document], bool], record: Record) -> bool:
    """Whether a function is true of a record, of which it is shown a copy.

    Raises:
        FilterError: It is asynchronous: what it returns counts as true before it is awaited.
    """
    return _sync(condition(record_to_document(record)))


def _sync(answer: object) -> bool:
    if isawaitable(answer):
        if iscoroutine(answer):
            answer.close()
        raise FilterError("a function that is a filter must not be asynchronous")
    return bool(answer)


def narrowed(own: DocumentFilter | None, asked: DocumentFilter | None) -> DocumentFilter | None:
    """Both conditions: what somebody asks for narrows what holds already, and never widens it.

    Raises:
        FilterError: A filter means nothing.
    """
    if own is None or asked is None:
        return asked if own is None else own
    if not callable(own) and not callable(asked):
        return And(tuple(part for part in map(to_filter, (own, asked)) if part is not None))

    def both(document: Document) -> bool:
        return _is_true(own, document) and _is_true(asked, document)

    return both


def _is_true(condition: DocumentFilter, document: Document) -> bool:
    if callable(condition):
        return _sync(condition(document))
    translated = to_filter(condition)
    return translated is None or matches(translated, own_metadata(document.metadata))


def refuse_unknown(options: Iterable[str], known: Iterable[str]) -> None:
    """Refuse an option that is not known; a misspelt one would restrict nothing.

    Raises:
        TypeError: Names it, and those that are known.
    """
    names = list(dict.fromkeys(known))
    if unknown := set(options).difference(names):
        raise TypeError(
            f"unknown search option {', '.join(sorted(unknown))}; known are {', '.join(names)}"
        )


def check_share(value: object, name: str) -> float:
    """Return a number from 0 to 1.

    Raises:
        ValueError: It is none; says the argument's name.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number from 0 to 1, not {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be between 0 and 1, not {value!r}")
    return float(value)


def vector_of(embedding: object) -> Vector:
    """Return a vector that a user gives to search with, as it is.

    Raises:
        ValueError: It is no list of numbers.
    """
    try:
        vector = np.asarray(embedding, np.float32)
    except (TypeError, ValueError):
        vector = np.empty((), np.float32)
    if vector.ndim != 1:
        raise ValueError("a vector to search with is a list of numbers, as embed_query returns it")
    return vector


def _threshold(options: dict[str, Any]) -> float | None:
    threshold = options.get("score_threshold")
    if threshold is None:
        return None
    share = check_share(threshold, "score_threshold")
    if options.get("mode", "vector") != "vector":
        raise ValueError('score_threshold is a relevance, which only mode "vector" has')
    return share
