"""`run`: a `VectorStoreQuery` answered by a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any

import numpy as np
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode
from numpy.typing import NDArray

from llama_index_unisem.filters import to_filter
from unisem.records import Modality, Record, Vector
from unisem.search.diversity import choose, likeness_of
from unisem.search.fusion import Fusion, RankFusion, WeightedFusion
from unisem.stores import Store
from unisem.stores.hits import Hit
from unisem.stores.selection import Match, Selection
from unisem.stores.vectors import unit

Scored = list[tuple[Record, float]]
"""Records with their scores, best first."""

QUERY_OPTIONS = ("modality", "mmr_threshold", "mmr_prefetch_k", "mmr_prefetch_factor")
"""Keywords of a query beside the `VectorStoreQuery`."""

_LEAST_CANDIDATES = 50  # of each list that hybrid search fuses
_MMR_CANDIDATES = 256  # from which diversity chooses
_LEARNER_CANDIDATES = 1000  # to which a learner is fitted
_LEARNER_C = 0.1  # LlamaIndex's inverse strength of regularisation
_WORDS = (VectorStoreQueryMode.SPARSE, VectorStoreQueryMode.TEXT_SEARCH)
_HYBRID = (VectorStoreQueryMode.HYBRID, VectorStoreQueryMode.SEMANTIC_HYBRID)
_LEARNERS = (
    VectorStoreQueryMode.SVM,
    VectorStoreQueryMode.LOGISTIC_REGRESSION,
    VectorStoreQueryMode.LINEAR_REGRESSION,
)


def run(store: Store, query: VectorStoreQuery, match: Match, options: Mapping[str, Any]) -> Scored:
    """Answer a query; the restrictions are decided inside the search.

    Args:
        store: Where to look.
        query: What for; see ``docs/guides/llama_index_stores.md`` for what its parts mean.
        match: Which of a record's vectors are compared.
        options: `QUERY_OPTIONS`.

    Raises:
        TypeError: One id instead of a list.
        ValueError: The query lacks what its mode needs, or a value is out of range.
        FilterError: A filter means nothing.
    """
    mode = VectorStoreQueryMode(query.mode)
    for name in ("similarity_top_k", "sparse_top_k", "hybrid_top_k"):
        _check_count(getattr(query, name), name)
    selection = _selection(query, match, mode, options.get("modality"))
    k = query.similarity_top_k
    if mode in _WORDS:
        words = _words(query, mode)
        return _plain(store.search_words(words, _count(query.sparse_top_k, k), selection))
    vector = _vector(query, mode)
    if mode in _HYBRID:
        return _hybrid(store, query, vector, selection, match)
    if mode == VectorStoreQueryMode.MMR:
        return _diverse(store, query, vector, selection, match, options)
    if mode in _LEARNERS:
        return _learned(store, mode, vector, selection, match, k)
    return _plain(store.search(vector[None], k, selection, match)[0])


def _selection(
    query: VectorStoreQuery, match: Match, mode: VectorStoreQueryMode, modality: Modality | None
) -> Selection:
    # An index passes node_ids=[] when it keeps no list of nodes, which restricts nothing.
    words_of_pictures = match == "image" and mode in (*_WORDS, *_HYBRID)
    return Selection(
        ids=ids_of(query.node_ids, "node_ids") or None,
        source_ids=ids_of(query.doc_ids, "doc_ids") or None,
        filter=to_filter(query.filters),
        modality="image" if words_of_pictures and modality is None else modality,
    )


def _hybrid(
    store: Store, query: VectorStoreQuery, vector: Vector, selection: Selection, match: Match
) -> Scored:
    alpha, k = query.alpha, query.similarity_top_k
    if alpha is not None and not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be between 0 (words) and 1 (vectors), not {alpha!r}")
    wanted = _count(query.hybrid_top_k, k)
    enough = max(_LEAST_CANDIDATES, 4 * wanted)
    by_vector = store.search(
        vector[None], k if query.hybrid_top_k is not None else enough, selection, match
    )[0]
    words = _words(query, VectorStoreQueryMode(query.mode))
    by_word = store.search_words(words, _count(query.sparse_top_k, enough), selection)
    fusion: Fusion = RankFusion() if alpha is None else WeightedFusion(alpha)
    return _plain(fusion.fuse(by_vector, by_word)[:wanted])


def _diverse(
    store: Store,
    query: VectorStoreQuery,
    vector: Vector,
    selection: Selection,
    match: Match,
    options: Mapping[str, Any],
) -> Scored:
    """Maximal marginal relevance; scores are the marginal relevances, as in LlamaIndex's store."""
    k = query.similarity_top_k
    balance = options.get("mmr_threshold", query.mmr_threshold)
    balance = 0.5 if balance is None else balance
    if not 0 <= balance <= 1:
        raise ValueError(f"mmr_threshold must be between 0 and 1, not {balance!r}")
    factor, fetch = options.get("mmr_prefetch_factor"), options.get("mmr_prefetch_k")
    if factor is not None and fetch is not None:
        raise ValueError("give mmr_prefetch_k or mmr_prefetch_factor, not both")
    if fetch is None:
        fetch = max(_MMR_CANDIDATES, 4 * k) if factor is None else int(factor * k)
    hits = store.search(vector[None], max(fetch, k), selection, match)[0]
    hits, groups = _with_vectors(store, hits, match)
    if not hits:
        return []
    likeness = likeness_of(groups)
    relevance = np.array([hit.score for hit in hits])
    order = choose(relevance, likeness, k, balance)
    scores: list[float] = []
    for place, position in enumerate(order):
        overlap = likeness[position, order[:place]].max() if place else 0.0
        score = float(balance * relevance[position] - (1 - balance) * overlap)
        scores.append(min([score, *scores[-1:]]))  # never above the one chosen before
    return [(hits[position].record, score) for position, score in zip(order, scores, strict=True)]


def _learned(
    store: Store,
    mode: VectorStoreQueryMode,
    vector: Vector,
    selection: Selection,
    match: Match,
    k: int,
) -> Scored:
    """Fit a model that tells the query from the nearest records, and rank these by it."""
    hits = store.search(vector[None], max(_LEARNER_CANDIDATES, k), selection, match)[0]
    hits, groups = _with_vectors(store, hits, match)
    if not hits or not k:
        return []
    rows = np.stack([rows[int(np.argmax(rows @ vector))] for rows in groups])
    scores: Sequence[float]
    if mode == VectorStoreQueryMode.LINEAR_REGRESSION:  # LlamaIndex's own fails for this one
        scores = _regressed(vector, rows).tolist()
    else:
        from llama_index.core.indices.query.embedding_utils import get_top_k_embeddings_learner

        values, places = get_top_k_embeddings_learner(
            vector.tolist(), rows.tolist(), len(rows), query_mode=mode
        )
        found = dict(zip(places, values, strict=True))
        scores = [float(found[place]) for place in range(len(rows))]
    order = sorted(range(len(hits)), key=lambda place: (-scores[place], hits[place].record.id))
    return [(hits[place].record, scores[place]) for place in order[:k]]


def _regressed(vector: Vector, rows: Vector) -> NDArray[np.float64]:
    """A linear regression's prediction for each row, the query being 1 and the rows 0.

    It is regularised, and the classes weigh the same, as LlamaIndex has it for the other learners
    (``C=0.1``, ``"balanced"``). Plain least squares reaches 0 for every row where there are fewer
    rows than dimensions, and what is left to rank by is rounding.
    """
    from sklearn.linear_model import Ridge  # type: ignore[import-untyped]

    target = np.array([1.0] + [0.0] * len(rows))
    weights = np.array([1.0] + [1.0 / len(rows)] * len(rows)) * (len(rows) + 1) / 2
    model = Ridge(alpha=1 / (2 * _LEARNER_C)).fit(np.vstack([vector, rows]), target, weights)
    predicted: NDArray[np.float64] = model.predict(rows).astype(np.float64)
    return predicted


def _with_vectors(
    store: Store, hits: Sequence[Hit], match: Match
) -> tuple[list[Hit], list[Vector]]:
    """The hits that are still there, and of each the ``(n, d)`` vectors that were compared."""
    kept: list[Hit] = []
    groups: list[Vector] = []
    stored = store.vectors([hit.record.id for hit in hits])
    for hit, kinds in zip(hits, stored, strict=True):
        compared = [rows for kind, rows in (kinds or {}).items() if match in ("any", kind)]
        if compared:
            kept.append(hit)
            groups.append(np.vstack(compared))
    return kept, groups


def _plain(hits: Sequence[Hit]) -> Scored:
    return [(hit.record, float(hit.score)) for hit in hits]


def _vector(query: VectorStoreQuery, mode: VectorStoreQueryMode) -> Vector:
    if query.query_embedding is None:
        raise ValueError(
            f'mode "{mode.value}" compares vectors, and the query has no query_embedding; '
            'mode "text_search" looks for words'
        )
    return unit(query.query_embedding, "the query's embedding")


def _words(query: VectorStoreQuery, mode: VectorStoreQueryMode) -> str:
    if query.query_str is None:
        raise ValueError(f'mode "{mode.value}" looks for words, and the query has no query_str')
    return query.query_str


def _count(wanted: int | None, otherwise: int) -> int:
    return otherwise if wanted is None else wanted


def _check_count(value: object, name: str) -> None:
    if value is None and name != "similarity_top_k":
        return
    try:
        count = index(value)  # type: ignore[arg-type]  # what it refuses is what is looked for
    except TypeError:
        raise ValueError(f"{name} must be a whole number, not {value!r}") from None
    if count < 0:
        raise ValueError(f"{name} must not be negative, not {count}")


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


def ids_of(ids: Sequence[str] | None, name: str) -> tuple[str, ...] | None:
    """The ids, or ``None``.

    Raises:
        TypeError: One id instead of a list.
    """
    if isinstance(ids, str):
        raise TypeError(f"{name} must be a list of ids, for example [{ids!r}]")
    return None if ids is None else tuple(ids)
