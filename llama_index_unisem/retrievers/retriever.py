"""`UniSemRetriever`: a space's one ranked list as LlamaIndex nodes."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from llama_index.core.base.base_multi_modal_retriever import MultiModalRetriever
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.schema import IndexNode, NodeWithScore, QueryBundle, QueryType
from llama_index.core.vector_stores.types import MetadataFilters

from llama_index_unisem.filters import to_filter
from llama_index_unisem.hits import nodes_of
from unisem.content import ImageLimits
from unisem.filters import Filter
from unisem.records import Modality
from unisem.search import Match, Query, Selection

if TYPE_CHECKING:
    from unisem.space import SemanticSpace


class UniSemRetriever(MultiModalRetriever):
    """Texts and pictures of a space, ranked together, as nodes that show a model both.

    A query is a text, a picture (``QueryBundle.image_path``), both, or a ready vector
    (``QueryBundle.embedding``, which then stands for the whole query). A picture's node carries
    its caption and, when a message is built, its pixels; with ``RetrieverQueryEngine.from_args(
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
        filters: Filter | MetadataFilters | None = None,
        modality: Modality | None = None,
        match: Match = "any",
        text_weight: float = 0.5,
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
            match: Compare with records' ``"text"`` vectors, ``"image"`` vectors, or ``"any"``.
            text_weight: Share of the text, if a query has text and picture.
            image_limits: What one retrieval's pictures may amount to when shown to a model.
            callback_manager: As in every LlamaIndex retriever.
            object_map: As in every LlamaIndex retriever.
            objects: As in every LlamaIndex retriever.
            verbose: As in every LlamaIndex retriever.

        Raises:
            TypeError: ``space`` is no `SemanticSpace`.
            ValueError: An argument out of range, or a filter that means nothing.
        """
        from unisem.space import SemanticSpace

        if not isinstance(space, SemanticSpace):
            raise TypeError(
                f"space must be a unisem.SemanticSpace, not {type(space).__name__}; "
                "for example SemanticSpace.open('photos.unisem')"
            )
        if isinstance(similarity_top_k, bool) or not isinstance(similarity_top_k, int):
            raise ValueError(f"similarity_top_k must be a whole number, not {similarity_top_k!r}")
        if similarity_top_k < 0:
            raise ValueError(f"similarity_top_k must not be negative, not {similarity_top_k}")
        self._space = space
        self._limits = image_limits or ImageLimits()
        self._settings = Query(
            text="(none yet)",
            k=similarity_top_k,
            selection=Selection(filter=to_filter(filters), modality=modality),
            match=match,
            text_weight=text_weight,
        )
        super().__init__(
            callback_manager=callback_manager,
            object_map=object_map,
            objects=objects,
            verbose=verbose,
        )

    @property
    def space(self) -> SemanticSpace:
        """Where this retriever looks."""
        return self._space

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = self._space.search_query(self._query(query_bundle))
        return nodes_of(hits, self._limits)

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)

    def _query(self, bundle: QueryBundle) -> Query:
        """Translate a bundle, which is left as it is."""
        settings = self._settings
        if bundle.embedding is not None:
            return replace(settings, text=None, vector=bundle.embedding)
        image = bundle.image_path or None
        texts = bundle.embedding_strs
        if not texts and image is None:
            raise ValueError(
                "the query is empty; a QueryBundle needs query_str, image_path or embedding"
            )
        if len(texts) < 2:
            return replace(settings, text=texts[0] if texts else None, image=image)
        parts = [replace(settings, text=text, image=image) for text in texts]
        vectors = [self._space.embed_query(part) for part in parts]
        return replace(settings, text=None, vector=np.mean(vectors, axis=0))

    # -- the narrower calls of `MultiModalRetriever` ---------------------------------------------

    def _only(self, modality: Modality) -> UniSemRetriever:
        narrowed = copy.copy(self)
        selection = replace(self._settings.selection, modality=modality)
        narrowed._settings = replace(self._settings, selection=selection)
        return narrowed

    def text_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Find records without a picture, by words."""
        return self._only("text").retrieve(_words(str_or_query_bundle))

    async def atext_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Find records without a picture, by words."""
        return await self._only("text").aretrieve(_words(str_or_query_bundle))

    def text_to_image_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Find pictures by words."""
        return self._only("image").retrieve(_words(str_or_query_bundle))

    async def atext_to_image_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Find pictures by words."""
        return await self._only("image").aretrieve(_words(str_or_query_bundle))

    def image_to_image_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Find pictures by a picture; a string is its path, as LlamaIndex defines this call."""
        return self._only("image").retrieve(_picture(str_or_query_bundle))

    async def aimage_to_image_retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        """Find pictures by a picture; a string is its path, as LlamaIndex defines this call."""
        return await self._only("image").aretrieve(_picture(str_or_query_bundle))

    def _text_to_image_retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._only("image")._retrieve(_words(query_bundle))

    async def _atext_to_image_retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await self._only("image")._aretrieve(_words(query_bundle))

    def _image_to_image_retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._only("image")._retrieve(_picture(query_bundle))

    async def _aimage_to_image_retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await self._only("image")._aretrieve(_picture(query_bundle))


def _words(query: QueryType) -> QueryBundle:
    """The query without its picture."""
    bundle = QueryBundle(query) if isinstance(query, str) else query
    return replace(bundle, image_path=None)


def _picture(query: QueryType) -> QueryBundle:
    """The query without its words."""
    bundle = QueryBundle("", image_path=query) if isinstance(query, str) else query
    return replace(bundle, query_str="", custom_embedding_strs=None)
