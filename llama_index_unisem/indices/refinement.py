"""`Refinement`: what becomes of a search's hits before they are nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.schema import QueryBundle
from llama_index.core.vector_stores.types import VectorStoreQueryMode

from llama_index_unisem.retrievers.bundles import image_of
from llama_index_unisem.retrievers.neighbors import with_neighbors
from llama_index_unisem.retrievers.observed import ObservedReranker
from unisem.images.reference import ImageRef
from unisem.rerank import Reranker
from unisem.search.reranking import reorder
from unisem.stores import Store
from unisem.stores.hits import Hit
from unisem.stores.selection import Selection

_LEAST_CANDIDATES = 50  # as in a space's search


@dataclass(frozen=True, slots=True)
class Refinement:
    """A cutoff, then a reranker, then neighbours; each of them may be absent.

    Attributes:
        min_score: The least cosine; for mode ``"default"`` only.
        reranker: What orders the candidates anew.
        fetch_k: How many candidates it chooses from; the larger of 50 and 4 k if ``None``.
        neighbors: How many records before and after each hit come with it.
    """

    min_score: float | None = None
    reranker: Reranker | None = None
    fetch_k: int | None = None
    neighbors: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            TypeError: ``reranker`` is no `Reranker`.
            ValueError: A value out of range.
        """
        if self.reranker is not None and not isinstance(self.reranker, Reranker):
            raise TypeError(
                f"reranker must be a unisem.rerank.Reranker, not {type(self.reranker).__name__}; "
                "a postprocessor such as UniSemReranker goes into node_postprocessors"
            )
        for name, value, least in (("fetch_k", self.fetch_k, 1), ("neighbors", self.neighbors, 0)):
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(
                    f"{name} must be a whole number of at least {least}, not {value!r}"
                )
        if self.min_score is not None and not -1 <= self.min_score <= 1:
            raise ValueError(f"min_score must be between -1 and 1, not {self.min_score!r}")

    def check_mode(self, mode: VectorStoreQueryMode) -> None:
        """Refuse what would mean something else in this mode.

        Raises:
            ValueError: Says what to do instead.
        """
        if self.min_score is not None and mode != VectorStoreQueryMode.DEFAULT:
            raise ValueError(
                f'min_score is a cosine, and the scores of mode "{mode.value}" are none; '
                'use mode "default", or a postprocessor'
            )
        if self.reranker is not None and mode == VectorStoreQueryMode.MMR:
            raise ValueError(
                'a reranker would undo the order of mode "mmr"; use a UniSemRetriever with '
                "diversity="
            )

    @property
    def changes(self) -> bool:
        """Whether anything happens at all."""
        return bool(self.neighbors) or self.min_score is not None or self.reranker is not None

    def candidates(self, k: int) -> int:
        """How many hits to search for."""
        if self.reranker is None or not k:
            return k
        return max(k, self.fetch_k or max(_LEAST_CANDIDATES, 4 * k))

    def apply(
        self,
        hits: Sequence[Hit],
        k: int,
        bundle: QueryBundle,
        store: Store,
        selection: Selection,
        manager: CallbackManager,
    ) -> list[Hit]:
        """Return what is left, best first.

        Args:
            hits: The candidates, best first.
            k: How many hits at most, neighbours not counted.
            bundle: The question, for the reranker.
            store: Where neighbours are.
            selection: What neighbours must meet.
            manager: Is told about the reranker's work.

        Raises:
            ValueError: A reranker, and a query that has a vector only.
        """
        kept = [hit for hit in hits if self.min_score is None or hit.score >= self.min_score]
        if self.reranker is not None:
            text, image = bundle.query_str or None, image_of(bundle)
            if text is None and image is None:
                raise ValueError(
                    "the query has an embedding only, and a reranker looks at its query_str or "
                    "picture"
                )
            asked = None if image is None else ImageRef.of(image)
            kept = reorder(ObservedReranker(self.reranker, manager, k), text, asked, kept)
        kept = kept[:k]
        if self.neighbors:
            kept = with_neighbors(store, kept, self.neighbors, selection)
        return kept
