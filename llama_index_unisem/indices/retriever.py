"""`UniSemIndexRetriever`: an index's one ranked list of texts and pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.constants import DEFAULT_SIMILARITY_TOP_K
from llama_index.core.embeddings.multi_modal_base import MultiModalEmbedding
from llama_index.core.indices.vector_store.retrievers import VectorIndexRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import (
    MetadataFilters,
    VectorStoreQueryMode,
)

from llama_index_unisem.embeddings.embedding import UniSemEmbedding
from llama_index_unisem.filters import to_filter
from llama_index_unisem.indices.refinement import Refinement
from llama_index_unisem.indices.scored import scored_nodes
from llama_index_unisem.retrievers.bundles import image_of
from llama_index_unisem.vector_stores.codec import nodes_from
from unisem.filters import Filter
from unisem.images.for_models import ImageLimits
from unisem.images.reference import ImageRef, ImageSource
from unisem.records import Modality
from unisem.rerank import Reranker
from unisem.stores.hits import Hit
from unisem.stores.selection import Selection

if TYPE_CHECKING:
    from llama_index_unisem.indices.index import UniSemIndex


_HYBRID = (VectorStoreQueryMode.HYBRID, VectorStoreQueryMode.SEMANTIC_HYBRID)
_REFINED = ("min_score", "reranker", "fetch_k", "neighbors")


class UniSemIndexRetriever(VectorIndexRetriever):
    """Nodes of a `UniSemIndex`, texts and pictures ranked together.

    A query is a text, a picture (``QueryBundle.image_path``, or an `ImageQueryBundle`), both, or a
    ready vector (``QueryBundle.embedding``, which then stands for the whole query). A bundle is
    left as it is. Make one with `UniSemIndex.as_retriever`.
    """

    def __init__(
        self,
        index: UniSemIndex,
        similarity_top_k: int = DEFAULT_SIMILARITY_TOP_K,
        vector_store_query_mode: VectorStoreQueryMode | str = VectorStoreQueryMode.DEFAULT,
        filters: MetadataFilters | Filter | None = None,
        alpha: float | None = None,
        node_ids: Sequence[str] | None = None,
        doc_ids: Sequence[str] | None = None,
        sparse_top_k: int | None = None,
        hybrid_top_k: int | None = None,
        *,
        modality: Modality | None = None,
        text_weight: float = 0.5,
        min_score: float | None = None,
        reranker: Reranker | None = None,
        fetch_k: int | None = None,
        neighbors: int = 0,
        image_limits: ImageLimits | None = None,
        vector_store_kwargs: dict[str, Any] | None = None,
        embed_model: BaseEmbedding | None = None,
        callback_manager: CallbackManager | None = None,
        object_map: dict[str, Any] | None = None,
        verbose: bool = False,
    ) -> None:
        """Check the settings; nothing is searched.

        Args:
            index: The index.
            similarity_top_k: How many nodes at most; ``min(k, matching nodes)`` come back.
            vector_store_query_mode: See ``docs/guides/llama_index_stores.md`` for the modes.
            filters: Condition on metadata: LlamaIndex's, nested as you like, or UniSem's.
            alpha: Share of the vectors in a hybrid search.
            node_ids: Only these nodes; all if empty.
            doc_ids: Only nodes of these documents; all if empty.
            sparse_top_k: As in ``VectorStoreQuery``.
            hybrid_top_k: As in ``VectorStoreQuery``.
            modality: ``"image"`` for nodes with a picture, ``"text"`` for those without.
            text_weight: Share of the text, if a query has text and picture.
            min_score: The least cosine of a hit, in mode ``"default"``.
            reranker: What orders the candidates anew, see `unisem.rerank`.
            fetch_k: How many candidates the reranker chooses from.
            neighbors: How many records before and after each hit come with it, as in
                `UniSemRetriever`.
            image_limits: What one retrieval's pictures may amount to when shown to a model.
            vector_store_kwargs: As `UniSemVectorStore.query` has them.
            embed_model: Embeds the queries; the index's own if ``None``.
            callback_manager: As in every LlamaIndex retriever.
            object_map: As in every LlamaIndex retriever.
            verbose: As in every LlamaIndex retriever.

        Raises:
            TypeError: One id instead of a list, or ``reranker`` is no `Reranker`.
            ValueError: An argument out of range, or a filter that means nothing.
        """
        if isinstance(similarity_top_k, bool) or not isinstance(similarity_top_k, int):
            raise ValueError(f"similarity_top_k must be a whole number, not {similarity_top_k!r}")
        if similarity_top_k < 0:
            raise ValueError(f"similarity_top_k must not be negative, not {similarity_top_k}")
        if not 0 <= text_weight <= 1:
            raise ValueError(f"text_weight must be between 0 and 1, not {text_weight!r}")
        for name, ids in (("node_ids", node_ids), ("doc_ids", doc_ids)):
            if isinstance(ids, str):
                raise TypeError(f"{name} must be a list of ids, for example [{ids!r}]")
        Selection(filter=to_filter(filters), modality=modality)  # says now what is wrong with them
        mode = VectorStoreQueryMode(vector_store_query_mode)
        self._refinement = Refinement(min_score, reranker, fetch_k, neighbors)
        self._refinement.check_mode(mode)
        options = dict(vector_store_kwargs or {})
        if modality is not None:
            options["modality"] = modality
        super().__init__(
            index,
            similarity_top_k=similarity_top_k,
            vector_store_query_mode=mode,
            filters=filters,  # type: ignore[arg-type]
            alpha=alpha,
            node_ids=None if node_ids is None else list(node_ids),
            doc_ids=None if doc_ids is None else list(doc_ids),
            sparse_top_k=sparse_top_k,
            hybrid_top_k=hybrid_top_k,
            callback_manager=callback_manager,
            object_map=object_map,
            embed_model=embed_model,
            verbose=verbose,
            vector_store_kwargs=options,
        )
        self._text_weight = text_weight
        self._limits = image_limits or ImageLimits()

    def __getattr__(self, name: str) -> Any:
        own = vars(self)
        if name in _REFINED and "_refinement" in own:
            return getattr(own["_refinement"], name)
        if name == "modality" and "_kwargs" in own:
            return own["_kwargs"].get(name)
        if not name.startswith("_") and f"_{name}" in own:
            return own[f"_{name}"]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        """Change a setting, as LlamaIndex allows; the next search goes by it.

        Raises:
            AttributeError: There is no such setting.
            ValueError: As the constructor.
        """
        if name.startswith("_") or "_limits" not in vars(self):  # or while it is made
            super().__setattr__(name, value)
        elif name in _REFINED:
            refinement = replace(self._refinement, **{name: value})
            refinement.check_mode(self._vector_store_query_mode)
            self._refinement = refinement
        elif name == "image_limits":
            self._limits = value
        elif name == "modality":
            Selection(modality=value)  # says now what is wrong with it
            self._kwargs = {**self._kwargs, "modality": value}
        elif hasattr(type(self), name) or name in vars(self):
            super().__setattr__(name, value)
        elif f"_{name}" in vars(self):
            if name == "filters":
                to_filter(value)  # says now what is wrong with it
            super().__setattr__(f"_{name}", value)
        else:
            raise AttributeError(f"{type(self).__name__} has no setting {name!r}")

    @property
    def image_limits(self) -> ImageLimits:
        """What one retrieval's pictures may amount to when shown to a model."""
        return self._limits

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        embedding = query_bundle.embedding
        if embedding is None and self._asks(query_bundle):
            texts, image = query_bundle.embedding_strs, self._picture(query_bundle)
            by_text = self._embed_model.get_agg_embedding_from_queries(texts) if texts else None
            by_image = None
            if image is not None:
                model = self._multi_modal()
                by_image = model.get_image_embedding(_given(image, model))
            embedding = self._mixed(by_text, by_image)
        return self._found(query_bundle, embedding)

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        embedding = query_bundle.embedding
        if embedding is None and self._asks(query_bundle):
            texts, image = query_bundle.embedding_strs, self._picture(query_bundle)
            model = self._embed_model
            by_text = await model.aget_agg_embedding_from_queries(texts) if texts else None
            by_image = None
            if image is not None:
                seeing = self._multi_modal()
                by_image = await seeing.aget_image_embedding(_given(image, seeing))
            embedding = self._mixed(by_text, by_image)
        return await asyncio.to_thread(self._found, query_bundle, embedding)

    def _asks(self, bundle: QueryBundle) -> bool:
        """Whether the query has to be embedded.

        Raises:
            ValueError: There is nothing in it, or a picture where words are looked for.
        """
        if self._needs_embedding():
            if not bundle.embedding_strs and image_of(bundle) is None:
                raise ValueError(
                    "the query is empty; a QueryBundle needs query_str, image_path or embedding"
                )
            return True
        if image_of(bundle) is not None:
            raise ValueError(
                f'mode "{self._vector_store_query_mode.value}" looks for words, and the query has '
                'a picture; use "default" or "hybrid"'
            )
        return False

    def _picture(self, bundle: QueryBundle) -> ImageRef | None:
        source: ImageSource | None = image_of(bundle)
        return None if source is None else ImageRef.of(source)

    def _multi_modal(self) -> MultiModalEmbedding:
        if not isinstance(self._embed_model, MultiModalEmbedding):
            raise ValueError(
                f"the query has a picture, and {type(self._embed_model).__name__} embeds texts "
                "only; use UniSemEmbedding or another MultiModalEmbedding"
            )
        return self._embed_model

    def _mixed(self, text: Embedding | None, image: Embedding | None) -> Embedding:
        if text is None or image is None:
            found = image if text is None else text
            assert found is not None
            return found
        weight = self._text_weight
        rows = [np.asarray(row, np.float64) for row in (text, image)]
        first, second = (row / max(float(np.linalg.norm(row)), 1e-30) for row in rows)
        mixed: Embedding = (weight * first + (1 - weight) * second).tolist()
        return mixed

    def _found(self, bundle: QueryBundle, embedding: Embedding | None) -> list[NodeWithScore]:
        query = self._build_vector_store_query(
            QueryBundle(bundle.query_str, embedding=embedding)  # the caller's stays as it is
        )
        query.similarity_top_k = self._refinement.candidates(self._similarity_top_k)
        reranked = self._refinement.reranker is not None and self._similarity_top_k
        if reranked and query.mode in _HYBRID and query.hybrid_top_k is None:
            # As in a space: so many of each list, and the reranker judges all that they give.
            count = query.similarity_top_k
            if query.sparse_top_k is None:
                query.sparse_top_k = count
            query.hybrid_top_k = count + query.sparse_top_k
        result = self._vector_store.query(query, **self._kwargs)
        nodes, scores = result.nodes or [], result.similarities or []
        store = self._index.vector_store.client
        if self._refinement.changes:
            records = store.get([node.node_id for node in nodes])
            hits = [
                Hit(record, score, record.modality)
                for record, score in zip(records, scores, strict=True)
                if record is not None  # else deleted a moment ago
            ]
            selection = Selection(
                ids=tuple(query.node_ids) if query.node_ids else None,
                source_ids=tuple(query.doc_ids) if query.doc_ids else None,
                filter=to_filter(query.filters),
            )
            hits = self._refinement.apply(
                hits, self._similarity_top_k, bundle, store, selection, self.callback_manager
            )
            nodes = nodes_from([hit.record for hit in hits], store)
            scores = [hit.score for hit in hits]
        return scored_nodes(nodes, scores, store, self._limits)


def _given(image: ImageRef, model: MultiModalEmbedding) -> Any:
    """A picture as the embedding takes it; a URL was refused when the reference was made."""
    if isinstance(model, UniSemEmbedding):
        return image
    return BytesIO(image.read_bytes()) if image.path is None else str(image.path)
