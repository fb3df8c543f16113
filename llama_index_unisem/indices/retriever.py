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
from llama_index.core.schema import (
    BaseNode,
    Document,
    Node,
    NodeWithScore,
    QueryBundle,
    TextNode,
)
from llama_index.core.vector_stores.types import (
    MetadataFilters,
    VectorStoreQueryMode,
)

from llama_index_unisem.embeddings.embedding import UniSemEmbedding
from llama_index_unisem.embeddings.node_vectors import caption_vector
from llama_index_unisem.events import ObservedReranker
from llama_index_unisem.filters import to_filter
from llama_index_unisem.node_images import has_image, image_url_of
from llama_index_unisem.nodes import FoundText, UniSemImageNode, nodes_of, parts_of, tell_score
from llama_index_unisem.retrievers.bundles import image_of, judged, kind_of
from llama_index_unisem.vector_stores.codec import nodes_from
from llama_index_unisem.vector_stores.queries import mode_of, run
from llama_index_unisem.vector_stores.store import UniSemVectorStore
from unisem.filters import Filter
from unisem.images.for_models import ImageLimits
from unisem.images.reference import ImageRef, ImageSource
from unisem.records import Modality, Vector
from unisem.rerank import Reranker
from unisem.search.composition import EQUAL, Asked, composed, mean_of, vectors_of
from unisem.search.duplicates import Duplicates
from unisem.search.query import Query
from unisem.search.reranking import Reranking
from unisem.stores import Store
from unisem.stores.hits import Hit
from unisem.stores.selection import Selection, as_ids

if TYPE_CHECKING:
    from llama_index_unisem.indices.index import UniSemIndex


_COSINES = (VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.MMR)
_SETTINGS = (
    "text_weight",
    "min_score",
    "min_relevance",
    "reranker",
    "fetch_k",
    "duplicates",
    "neighbors",
)


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
        min_relevance: float | None = None,
        reranker: Reranker | Reranking | None = None,
        fetch_k: int | None = None,
        duplicates: Duplicates = "same",
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
            min_score: The least cosine of a hit by vector.
            min_relevance: The least probability that one is relevant; of a calibrated space.
            reranker: What orders the candidates anew; with more to say, a `Reranking` of it.
            fetch_k: How many candidates hybrid search, reranker and mode ``"mmr"`` choose from.
            duplicates: Which nodes with the same picture make way, as in `UniSemRetriever`.
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
        Selection(  # says now what is wrong with it
            ids=as_ids(node_ids, "node_ids"),
            source_ids=as_ids(doc_ids, "doc_ids"),
            filter=to_filter(filters),
            modality=modality,
        )
        mode = VectorStoreQueryMode(vector_store_query_mode)
        _check_cosine(min_score)
        self._settings = Query(
            text="(none yet)",
            mode=mode_of(mode),
            text_weight=text_weight,
            min_score=min_score,
            min_relevance=min_relevance,
            reranker=reranker,
            fetch_k=fetch_k,
            duplicates=duplicates,
            neighbors=neighbors,
        )
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
        self._limits = image_limits or ImageLimits()

    def __getattr__(self, name: str) -> Any:
        own = vars(self)
        if name in _SETTINGS and "_settings" in own:
            return getattr(own["_settings"], name)
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
        elif name in _SETTINGS:
            if name == "min_score":
                _check_cosine(value)
            self._settings = replace(self._settings, **{name: value})
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
            elif name == "vector_store_query_mode":
                value = VectorStoreQueryMode(value)
                self._settings = replace(self._settings, mode=mode_of(value))
            super().__setattr__(f"_{name}", value)
        else:
            raise AttributeError(f"{type(self).__name__} has no setting {name!r}")

    @property
    def image_limits(self) -> ImageLimits:
        """What one retrieval's pictures may amount to when shown to a model."""
        return self._limits

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        vector: Any = query_bundle.embedding
        if vector is None and self._asks(query_bundle):
            vector = self._fused(query_bundle)
        if vector is None and self._asks(query_bundle):
            model, image = self._embed_model, self._picture(query_bundle)
            by_text = [model.get_query_embedding(text) for text in query_bundle.embedding_strs]
            by_image = None
            if image is not None:
                seeing = self._multi_modal()
                by_image = seeing.get_image_embedding(_given(image, seeing))
            vector = self._composed(by_text, by_image)
        return self._found(query_bundle, vector)

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        vector: Any = query_bundle.embedding
        if vector is None and self._asks(query_bundle):
            vector = await asyncio.to_thread(self._fused, query_bundle)
        if vector is None and self._asks(query_bundle):
            model, image = self._embed_model, self._picture(query_bundle)
            by_text = [
                await model.aget_query_embedding(text) for text in query_bundle.embedding_strs
            ]
            by_image = None
            if image is not None:
                seeing = self._multi_modal()
                by_image = await seeing.aget_image_embedding(_given(image, seeing))
            vector = self._composed(by_text, by_image)
        return await asyncio.to_thread(self._found, query_bundle, vector)

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

    def _fused(self, bundle: QueryBundle) -> Embedding | None:
        """The vector of texts and a picture, where the model reads both at once."""
        model, image, texts = self._embed_model, self._picture(bundle), bundle.embedding_strs
        if image is None or not texts or not isinstance(model, UniSemEmbedding):
            return None
        if self._settings.text_weight != EQUAL or not model.encoder.fuses:
            return None
        found: Embedding = mean_of(
            vectors_of(model.encoder, [Asked(text, image) for text in texts])
        ).tolist()
        return found

    def _composed(self, texts: Sequence[Embedding], image: Embedding | None) -> Embedding:
        rows: list[Vector | None] = [np.asarray(text, np.float32) for text in texts]
        picture = None if image is None else np.asarray(image, np.float32)
        weight = self._settings.text_weight
        vector = mean_of([composed(row, picture, weight) for row in rows or [None]])
        found: Embedding = vector.tolist()
        return found

    def _found(self, bundle: QueryBundle, embedding: Embedding | None) -> list[NodeWithScore]:
        query = self._build_vector_store_query(
            QueryBundle(bundle.query_str, embedding=embedding)  # the caller's stays as it is
        )
        kind = kind_of(bundle, self._settings.text_weight)
        settings, image = replace(self._settings, vector_kind=kind), None
        if settings.reranker is not None:
            _, image = judged(bundle)
            observed = ObservedReranker.within(
                settings.reranker, self.callback_manager, self._similarity_top_k
            )
            settings = replace(settings, reranker=observed)
        vectors = self._vector_store
        assert isinstance(vectors, UniSemVectorStore)  # an index sees to that
        store = vectors.client
        hits = run(store, query, vectors.match, self._kwargs, settings, image)
        nodes = nodes_from([hit.record for hit in hits], store)
        found = _scored(nodes, [float(hit.score) for hit in hits], store, self._limits)
        is_cosine = query.mode in _COSINES and settings.reranker is None
        for hit, node in zip(hits, found, strict=True):
            tell_score(node.node, float(hit.score), is_cosine)
        return found


def _check_cosine(value: float | None) -> None:
    if value is not None and not -1 <= value <= 1:
        raise ValueError(f"min_score must be between -1 and 1, not {value!r}")


def _given(image: ImageRef, model: MultiModalEmbedding) -> Any:
    """A picture as the embedding takes it; a URL was refused when the reference was made."""
    if isinstance(model, UniSemEmbedding):
        return image
    is_file = image.path is not None and image.region is None
    return str(image.path) if is_file else BytesIO(image.read_bytes())


def _scored(
    nodes: Sequence[BaseNode], scores: Sequence[float], store: Store, limits: ImageLimits
) -> list[NodeWithScore]:
    """Give nodes their scores, and make them `FoundText` and `UniSemImageNode`.

    LlamaIndex's own `ImageNode` sends a picture without its caption, and one missing file ends the
    whole query. A picture that is only a URL is not fetched: its caption says so.

    Args:
        nodes: As a `UniSemVectorStore` gives them, best first.
        scores: Theirs.
        store: That store's records.
        limits: What the pictures may amount to together.
    """
    places = [place for place, node in enumerate(nodes) if has_image(node)]
    records = store.get([nodes[place].node_id for place in places])
    hits = [
        Hit(record, scores[place], "image")
        for place, record in zip(places, records, strict=True)
        if record is not None and record.image is not None
    ]
    pictures = {found.node_id: found.node for found in nodes_of(hits, limits)}
    results = []
    for node, score in zip(nodes, scores, strict=True):
        if has_image(node):
            node = _presented(node, pictures.get(node.node_id))
        elif type(node) is TextNode:
            node = FoundText.model_construct(**node.__dict__)
        elif type(node) in (Node, Document):
            node = FoundText.model_construct(**parts_of(node))
        results.append(NodeWithScore(node=node, score=score))
    return results


def _presented(node: BaseNode, picture: BaseNode | None) -> UniSemImageNode:
    """The picture's place and limits, with everything else as the node has it."""
    if not isinstance(picture, UniSemImageNode):
        picture = UniSemImageNode(image_omitted="is not a file on this machine")
    return picture.model_copy(
        update={
            **parts_of(node),
            "text_embedding": caption_vector(node),
            "image_url": image_url_of(node),
        }
    )
