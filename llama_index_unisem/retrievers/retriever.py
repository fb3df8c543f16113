"""`UniSemRetriever`: a space's one ranked list as LlamaIndex nodes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from llama_index.core.base.base_multi_modal_retriever import MultiModalRetriever
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.schema import IndexNode, NodeWithScore, QueryBundle, QueryType
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters

from llama_index_unisem.events import ObservedReranker
from llama_index_unisem.filters import to_filter
from llama_index_unisem.nodes import nodes_of, tell_score
from llama_index_unisem.retrievers.bundles import image_only, query_of, words_only
from unisem.common.threads import InThread
from unisem.filters import And, Filter
from unisem.images.for_models import ImageLimits
from unisem.records import Modality
from unisem.rerank import Reranker
from unisem.search.duplicates import Duplicates
from unisem.search.fusion import Fusion, RankFusion
from unisem.search.graph_expansion import GraphExpansion
from unisem.search.query import Mode, Query
from unisem.search.reranking import Reranking
from unisem.stores.selection import Match, Selection, as_ids

if TYPE_CHECKING:
    from unisem.space import SemanticSpace


_SELECTED = {
    "filters": "filter",
    "modality": "modality",
    "node_ids": "ids",
    "doc_ids": "source_ids",
}
_SETTINGS = {
    "similarity_top_k": "k",
    **{
        name: name
        for name in (
            "match",
            "text_weight",
            "mode",
            "fusion",
            "min_score",
            "min_relevance",
            "diversity",
            "reranker",
            "fetch_k",
            "duplicates",
            "neighbors",
            "graph",
        )
    },
}


class UniSemRetriever(MultiModalRetriever):
    """Texts and pictures of a space, ranked together, as nodes that show a model both.

    A query is a text, a picture (``QueryBundle.image_path``, or an `ImageQueryBundle`), both, or a
    ready vector (``QueryBundle.embedding``). A picture's node carries its caption and, when a
    message is built, its pixels; with ``RetrieverQueryEngine.from_args(
    UniSemRetriever(space=space), llm=llm, multimodal=True)`` the model sees both.

    >>> from unisem import Record, SemanticSpace
    >>> from llama_index_unisem import UniSemRetriever
    >>> with SemanticSpace.open(None) as space:
    ...     _ = space.add([Record(id="a", text="a tiger"), Record(id="b", text="a teapot")])
    ...     UniSemRetriever(space=space, similarity_top_k=1).retrieve("a big cat")[0].node_id
    'a'
    """

    def __init__(
        self,
        space: SemanticSpace,
        *,
        similarity_top_k: int = 4,
        filters: Filter | MetadataFilters | MetadataFilter | None = None,
        modality: Modality | None = None,
        node_ids: Sequence[str] | None = None,
        doc_ids: Sequence[str] | None = None,
        match: Match = "any",
        text_weight: float = 0.5,
        mode: Mode = "vector",
        fusion: Fusion | None = None,
        min_score: float | None = None,
        min_relevance: float | None = None,
        diversity: float | None = None,
        reranker: Reranker | Reranking | None = None,
        fetch_k: int | None = None,
        duplicates: Duplicates = "same",
        neighbors: int = 0,
        graph: GraphExpansion | None = None,
        image_limits: ImageLimits | None = None,
        callback_manager: CallbackManager | None = None,
        object_map: dict[str, Any] | None = None,
        objects: list[IndexNode] | None = None,
        verbose: bool = False,
    ) -> None:
        """Check the settings; nothing is searched.

        Args:
            space: The space.
            similarity_top_k: How many nodes at most; ``min(k, matching records)`` come back.
            filters: Condition on metadata: UniSem's or LlamaIndex's, nested as you like.
            modality: ``"image"`` for records with a picture, ``"text"`` for those without.
            node_ids: Only these records; an empty list finds nothing.
            doc_ids: Only records cut from these sources; an empty list finds nothing.
            match: Compare with records' ``"text"`` vectors, ``"image"`` vectors, fused vectors of
                ``"both"``, or ``"any"``.
            text_weight: Share of the text, if a query has text and picture.
            mode: ``"vector"`` by meaning, ``"keyword"`` by the text's words, ``"hybrid"`` both.
            fusion: How a hybrid search's lists become one; `RankFusion` if ``None``.
            min_score: The least cosine of a hit by vector.
            min_relevance: The least probability that one is relevant; of a calibrated space.
            diversity: From 0, the best hits, to 1, the least alike; ``1 - mmr_threshold``.
            reranker: What orders the candidates anew; with more to say, a `Reranking` of it.
            fetch_k: How many candidates hybrid search, reranker and diversity choose from.
            duplicates: Of records with the ``"same"`` picture only the best is found, and the ids
                of the others are ``copies`` in its node's metadata; with ``"near"`` also of those
                that look nearly the same; with ``"keep"`` all are found.
            neighbors: How many records before and after each hit come with it, by its links. They
                are not counted by ``similarity_top_k``; see `unisem.search.neighbors` for their
                order and score.
            graph: How the space's knowledge graph takes part.
            image_limits: What one retrieval's pictures may amount to when shown to a model.
            callback_manager: As in every LlamaIndex retriever.
            object_map: As in every LlamaIndex retriever.
            objects: As in every LlamaIndex retriever.
            verbose: As in every LlamaIndex retriever.

        Raises:
            TypeError: ``space`` is no `SemanticSpace`, or ``reranker`` no `Reranker`.
            ValueError: An argument out of range, or a filter that means nothing.
        """
        from unisem.space import SemanticSpace

        if not isinstance(space, SemanticSpace):
            raise TypeError(
                f"space must be a unisem.SemanticSpace, not {type(space).__name__}; "
                "for example SemanticSpace.open('photos.unisem')"
            )
        _check_count(similarity_top_k, "similarity_top_k")
        _check_count(neighbors, "neighbors")
        self._space = space
        self._limits = image_limits or ImageLimits()
        self._settings = Query(
            text="(none yet)",
            k=similarity_top_k,
            selection=Selection(
                ids=as_ids(node_ids, "node_ids"),
                source_ids=as_ids(doc_ids, "doc_ids"),
                filter=to_filter(filters),
                modality=modality,
            ),
            match=match,
            text_weight=text_weight,
            mode=mode,
            fusion=RankFusion() if fusion is None else fusion,
            min_score=min_score,
            min_relevance=min_relevance,
            diversity=diversity,
            reranker=reranker,
            fetch_k=fetch_k,
            duplicates=duplicates,
            neighbors=neighbors,
            graph=graph,
        )
        super().__init__(
            callback_manager=callback_manager,
            object_map=object_map,
            objects=objects,
            verbose=verbose,
        )

    def __getattr__(self, name: str) -> Any:
        own = vars(self)
        if name in _SELECTED and "_settings" in own:
            return getattr(own["_settings"].selection, _SELECTED[name])
        if name in _SETTINGS and "_settings" in own:
            return getattr(own["_settings"], _SETTINGS[name])
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        """Change a setting, as LlamaIndex allows; the next search goes by it.

        Raises:
            AttributeError: There is no such setting.
            ValueError: As the constructor.
        """
        if name.startswith("_") or "_settings" not in vars(self) or name in vars(self):
            super().__setattr__(name, value)
        elif name in _SELECTED:
            if name == "filters":
                value = to_filter(value)
            elif name != "modality":
                value = as_ids(value, name)
            selection = replace(self._settings.selection, **{_SELECTED[name]: value})
            self._settings = replace(self._settings, selection=selection)
        elif name in _SETTINGS:
            if name in ("similarity_top_k", "neighbors"):
                _check_count(value, name)
            self._settings = replace(self._settings, **{_SETTINGS[name]: value})
        elif name == "image_limits":
            self._limits = value
        elif name in ("callback_manager", "object_map"):
            super().__setattr__(name, value)
        else:
            raise AttributeError(f"{type(self).__name__} has no setting {name!r}")

    @property
    def space(self) -> SemanticSpace:
        """Where this retriever looks."""
        return self._space

    @property
    def settings(self) -> Query:
        """How it looks; the text is a placeholder."""
        return self._settings

    @property
    def image_limits(self) -> ImageLimits:
        """What one retrieval's pictures may amount to when shown to a model."""
        return self._limits

    def narrowed(
        self,
        *,
        similarity_top_k: int | None = None,
        filters: Filter | MetadataFilters | MetadataFilter | None = None,
        modality: Modality | None = None,
    ) -> Self:
        """Return a copy that finds less: the restrictions given hold beside its own.

        Args:
            similarity_top_k: How many nodes at most; its own number if ``None``.
            filters: A further condition.
            modality: A modality, if it has none of its own.

        Raises:
            ValueError: It is for another modality, or a filter means nothing.
        """
        selection = self._settings.selection
        if modality is not None and selection.modality not in (None, modality):
            raise ValueError(
                f'only records of modality "{selection.modality}" can be found here, '
                f'not "{modality}"'
            )
        parts = tuple(part for part in (selection.filter, to_filter(filters)) if part is not None)
        chosen = replace(
            selection,
            filter=And(parts) if parts else None,
            modality=selection.modality if modality is None else modality,
        )
        copied = copy.copy(self)
        if similarity_top_k is not None:
            _check_count(similarity_top_k, "similarity_top_k")
        k = self._settings.k if similarity_top_k is None else similarity_top_k
        copied._settings = replace(self._settings, k=k, selection=chosen)
        return copied

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        settings = self._settings
        if settings.reranker is not None:
            observed = ObservedReranker.within(settings.reranker, self.callback_manager, settings.k)
            settings = replace(settings, reranker=observed)
        hits = self._space.search_query(query_of(query_bundle, settings, self._space))
        found = nodes_of(hits, self._limits)
        for hit, node in zip(hits, found, strict=True):
            is_cosine = settings.mode == "vector" and settings.reranker is None
            tell_score(node.node, float(hit.score), is_cosine)
        return found

    _aretrieve = InThread(_retrieve).twin

    # -- the narrower calls of `MultiModalRetriever` ---------------------------------------------

    def _only(self, modality: Modality) -> UniSemRetriever:
        narrowed = copy.copy(self)
        selection = replace(self._settings.selection, modality=modality)
        narrowed._settings = replace(self._settings, selection=selection)
        return narrowed

    def text_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Find records without a picture, by words."""
        return self._only("text").retrieve(words_only(str_or_query_bundle))

    async def atext_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Find records without a picture, by words."""
        return await self._only("text").aretrieve(words_only(str_or_query_bundle))

    def text_to_image_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Find pictures by words."""
        return self._only("image").retrieve(words_only(str_or_query_bundle))

    async def atext_to_image_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Find pictures by words."""
        return await self._only("image").aretrieve(words_only(str_or_query_bundle))

    def image_to_image_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Find pictures by a picture; a string is its path, as LlamaIndex defines this call."""
        return self._only("image").retrieve(image_only(str_or_query_bundle))

    async def aimage_to_image_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Find pictures by a picture; a string is its path, as LlamaIndex defines this call."""
        return await self._only("image").aretrieve(image_only(str_or_query_bundle))

    def _text_to_image_retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._only("image")._retrieve(words_only(query_bundle))

    def _image_to_image_retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._only("image")._retrieve(image_only(query_bundle))

    _atext_to_image_retrieve = InThread(_text_to_image_retrieve).twin
    _aimage_to_image_retrieve = InThread(_image_to_image_retrieve).twin


def _check_count(value: object, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} must be a whole number, not {value!r}")
    if value < 0:
        raise ValueError(f"{name} must not be negative, not {value}")
