"""`run`: a `VectorStoreQuery` in the core's words, and the core's answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import index
from typing import Any

from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from llama_index_unisem.filters import to_filter
from llama_index_unisem.vector_stores.learners import LEARNERS, Learner
from unisem.images.reference import ImageSource
from unisem.records import Modality, Vector
from unisem.search.fusion import RankFusion, WeightedFusion
from unisem.search.query import Mode, Query
from unisem.search.searcher import Searcher
from unisem.stores import Store
from unisem.stores.hits import Hit
from unisem.stores.selection import Match, Selection, as_ids
from unisem.stores.vectors import unit

QUERY_OPTIONS = (
    "modality",
    "vector_kind",
    "mmr_threshold",
    "mmr_prefetch_k",
    "mmr_prefetch_factor",
)
"""Keywords of a query beside the `VectorStoreQuery`."""

_PLAIN = Query(text="(none yet)")
_LEARNER_CANDIDATES = 1000  # to which a learner is fitted
_WORDS = (VectorStoreQueryMode.SPARSE, VectorStoreQueryMode.TEXT_SEARCH)
_HYBRID = (VectorStoreQueryMode.HYBRID, VectorStoreQueryMode.SEMANTIC_HYBRID)


def mode_of(mode: VectorStoreQueryMode) -> Mode:
    """How the core searches in one of LlamaIndex's modes."""
    return "keyword" if mode in _WORDS else "hybrid" if mode in _HYBRID else "vector"


def run(
    store: Store,
    query: VectorStoreQuery,
    match: Match,
    options: Mapping[str, Any],
    settings: Query = _PLAIN,
    image: ImageSource | None = None,
) -> list[Hit]:
    """Answer a query; the restrictions are decided inside the search.

    Args:
        store: Where to look.
        query: What for; see ``docs/guides/llama_index_stores.md`` for what its parts mean.
        match: Which of a record's vectors are compared.
        options: `QUERY_OPTIONS`.
        settings: What a `VectorStoreQuery` has no place for: ``min_score``,
            ``min_relevance``, ``vector_kind``, ``reranker``, ``fetch_k``, ``neighbors``.
        image: The question's picture, for the reranker.

    Raises:
        TypeError: One id instead of a list, or an unknown option.
        ValueError: The query lacks what its mode needs, or a value is out of range.
        FilterError: A filter means nothing.
    """
    refuse_unknown(options, "query", QUERY_OPTIONS)
    mode = VectorStoreQueryMode(query.mode)
    k, of_words, of_both = (
        _count(getattr(query, name), name)
        for name in ("similarity_top_k", "sparse_top_k", "hybrid_top_k")
    )
    if k is None:
        raise ValueError("similarity_top_k must be a whole number, not None")
    words = query.query_str
    if mode in (*_WORDS, *_HYBRID) and words is None:
        raise ValueError(f'mode "{mode.value}" looks for words, and the query has no query_str')
    parts: dict[str, Any] = {"text": None, "k": k, "mode": mode_of(mode), "match": match}
    parts["selection"] = _selection(query, match, mode, options.get("modality"))
    if mode in _WORDS:
        parts |= {"text": words, "k": k if of_words is None else of_words}
    else:
        vector = parts["vector"] = _vector(query, mode)
        parts["vector_kind"] = options.get("vector_kind", settings.vector_kind)
        if settings.reranker is not None:
            parts |= {"text": words or None, "image": image}
        if mode in _HYBRID and words:
            parts |= {"text": words, "fetch_words": of_words, "fusion": _fusion(query.alpha)}
            if of_both is not None:
                parts |= {"k": of_both, "fetch_vectors": k}
        elif mode in _HYBRID:
            parts["mode"] = "vector"  # there are no words to look for
        elif mode == VectorStoreQueryMode.MMR:
            parts |= _diverse(query, options, settings)
        elif mode in LEARNERS:
            if settings.reranker is not None:
                raise ValueError(
                    f'mode "{mode.value}" has a ranking of its own; use a reranker with another'
                )
            learner = Learner(mode, store, vector, match)
            fetch = settings.fetch_k or _LEARNER_CANDIDATES
            parts |= {"text": "", "reranker": learner, "fetch_k": fetch}
    return Searcher(None, store).search_query(replace(settings, **parts))


def _selection(
    query: VectorStoreQuery, match: Match, mode: VectorStoreQueryMode, modality: Modality | None
) -> Selection:
    # An index passes node_ids=[] when it keeps no list of nodes, which restricts nothing.
    words_of_images = match == "image" and mode in (*_WORDS, *_HYBRID)
    return Selection(
        ids=as_ids(query.node_ids, "node_ids") or None,
        source_ids=as_ids(query.doc_ids, "doc_ids") or None,
        filter=to_filter(query.filters),
        modality="image" if words_of_images and modality is None else modality,
    )


def _fusion(alpha: float | None) -> RankFusion | WeightedFusion:
    if alpha is None:
        return RankFusion()
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be between 0 (words) and 1 (vectors), not {alpha!r}")
    return WeightedFusion(alpha)


def _diverse(
    query: VectorStoreQuery, options: Mapping[str, Any], settings: Query
) -> dict[str, Any]:
    balance = options.get("mmr_threshold", query.mmr_threshold)
    balance = 0.5 if balance is None else balance
    if not 0 <= balance <= 1:
        raise ValueError(f"mmr_threshold must be between 0 and 1, not {balance!r}")
    factor = options.get("mmr_prefetch_factor")
    sizes = {
        "fetch_k": settings.fetch_k,
        "mmr_prefetch_k": options.get("mmr_prefetch_k"),
        "mmr_prefetch_factor": None if factor is None else int(factor * query.similarity_top_k),
    }
    given = {name: size for name, size in sizes.items() if size is not None}
    if len(given) > 1:
        raise ValueError(f"give {' or '.join(given)}, not both")
    fetch = max(1, *given.values()) if given else None  # never fewer than are wanted
    return {"diversity": 1 - balance, "fetch_k": fetch}


def _vector(query: VectorStoreQuery, mode: VectorStoreQueryMode) -> Vector:
    if query.query_embedding is None:
        raise ValueError(
            f'mode "{mode.value}" compares vectors, and the query has no query_embedding; '
            'mode "text_search" looks for words'
        )
    return unit(query.query_embedding, "the query's embedding")


def _count(value: object, name: str) -> int | None:
    if value is None:
        return None
    try:
        count = index(value)  # type: ignore[arg-type]  # what it refuses is what is looked for
    except TypeError:
        raise ValueError(f"{name} must be a whole number, not {value!r}") from None
    if count < 0:
        raise ValueError(f"{name} must not be negative, not {count}")
    return count


def refuse_unknown(options: Mapping[str, Any], call: str, known: Sequence[str] = ()) -> None:
    """Refuse keywords that mean nothing here; a misspelt restriction must not restrict nothing.

    Raises:
        TypeError: Names the keywords, and those that are known.
    """
    unknown = [name for name in options if name not in known]
    if unknown:
        raise TypeError(
            f"{call} knows no {', '.join(unknown)}; options are {', '.join(known) or 'none'}"
        )
