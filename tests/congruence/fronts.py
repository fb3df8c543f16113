"""`Front`: a way to ask a question, through the core or through a framework."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from langchain_core.documents import Document
from llama_index.core.schema import BaseNode, ImageNode, QueryBundle, TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

import langchain_unisem
import llama_index_unisem
from langchain_unisem import ImageQuery
from tests.congruence import conditions
from tests.congruence.conditions import Condition
from tests.support.list_store import ListStore
from unisem import Record, SemanticSpace
from unisem.records import Modality
from unisem.rerank import Reranker
from unisem.search.fusion import Fusion, RankFusion, WeightedFusion
from unisem.search.graph_expansion import GraphExpansion
from unisem.search.query import Mode, Query
from unisem.search.reranking import Reranking
from unisem.stores.selection import Match

Found = list[tuple[str, float | None]]
"""Ids, and scores where the front gives any that can be compared."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A search, in nobody's words."""

    text: str | None = None
    image: Any = None
    text_weight: float = 0.5
    k: int = 5
    mode: Mode = "vector"
    match: Match = "any"
    modality: Modality | None = None
    condition: Condition | None = None
    alpha: float | None = None
    min_score: float | None = None
    min_relevance: float | None = None
    diversity: float | None = None
    fetch_k: int | None = None
    reranker: Reranker | Reranking | None = None
    neighbors: int = 0
    graph: GraphExpansion | None = None

    @property
    def fusion(self) -> Fusion:
        """How a hybrid question's two lists become one."""
        return RankFusion() if self.alpha is None else WeightedFusion(self.alpha)


class Front(ABC):
    """Filled once, asked often."""

    def __init__(self, space: SemanticSpace) -> None:
        self.space = space

    @abstractmethod
    def fill(self, records: Sequence[Record]) -> None:
        """Add the corpus the way a user of this front does."""

    @abstractmethod
    def ask(self, question: Question) -> list[Found]:
        """The answers: one for each way in which the question can be put; none if it cannot."""


class Core(Front):
    """`SemanticSpace`."""

    def fill(self, records: Sequence[Record]) -> None:
        self.space.add(records)

    def ask(self, question: Question) -> list[Found]:
        condition = question.condition
        hits = self.space.search(
            question.text,
            question.image,
            text_weight=question.text_weight,
            k=question.k,
            mode=question.mode,
            match=question.match,
            modality=question.modality,
            filter=None if condition is None else conditions.core(condition),
            fusion=question.fusion,
            min_score=question.min_score,
            min_relevance=question.min_relevance,
            diversity=question.diversity,
            fetch_k=question.fetch_k,
            reranker=question.reranker,
            neighbors=question.neighbors,
            graph=question.graph,
        )
        return [[(hit.record.id, hit.score) for hit in hits]]


class LangChain(Front):
    """`langchain_unisem`: the store, its retriever, and `UniSemRetriever`."""

    def fill(self, records: Sequence[Record]) -> None:
        store = langchain_unisem.UniSemVectorStore(space=self.space)
        for pictures in (False, True):
            chosen = [record for record in records if (record.image is not None) == pictures]
            metadatas, ids = [dict(record.metadata) for record in chosen], [r.id for r in chosen]
            texts = [record.text for record in chosen]
            if pictures:
                images = [record.image for record in chosen]
                store.add_images(images, captions=texts, metadatas=metadatas, ids=ids)
            else:
                store.add_texts(texts, metadatas, ids=ids)

    def ask(self, question: Question) -> list[Found]:
        store = langchain_unisem.UniSemVectorStore(space=self.space)
        query = question.text or ""
        asked = query if question.image is None else ImageQuery(question.image, question.text)
        answers = []
        for spelled in self._filters(question.condition):
            options: dict[str, Any] = {
                "k": question.k,
                "match": question.match,
                "modality": question.modality,
                "text_weight": question.text_weight,
                "filter": spelled,
                "min_relevance": question.min_relevance,
            }
            if question.fetch_k is not None:
                options["fetch_k"] = question.fetch_k
            if question.mode == "hybrid":
                options["fusion"] = question.fusion
            kind, further = langchain_search(question)
            if spelled is None or isinstance(spelled, dict):
                answers += self._other_ways(store, asked, kind, options | further)
            if question.diversity is None:
                scored = store.similarity_search_with_score(
                    asked, mode=question.mode, **options, **further
                )
                answers.append([(document.id, score) for document, score in scored])
        return answers

    def _other_ways(
        self, store: Any, asked: Any, kind: Any, options: dict[str, Any]
    ) -> list[Found]:
        """The search that says its type, and the two retrievers."""
        retriever = store.as_retriever(search_type=kind, search_kwargs=options)
        own = langchain_unisem.UniSemRetriever(space=self.space, search_type=kind, **options)
        return [
            _ids(store.search(asked, kind, **options)),
            _ids(retriever.invoke(asked)),
            [(str(found.id), found.metadata["unisem"]["score"]) for found in own.invoke(asked)],
        ]

    def _filters(self, condition: Condition | None) -> list[Any]:
        if condition is None:
            return [None]

        def on_document(document: Document) -> bool:
            return conditions.holds(condition, document.metadata)

        spelled = [conditions.mongo(condition), conditions.structured(condition)]
        return [on_document, *(one for one in spelled if one is not None)]


def langchain_search(question: Question) -> tuple[str, dict[str, Any]]:
    """LangChain's type of search for a question, and what belongs to that type."""
    if question.diversity is not None:
        return "mmr", {"lambda_mult": 1 - question.diversity}
    if question.min_score is not None:
        return "similarity_score_threshold", {"score_threshold": (1 + question.min_score) / 2}
    return "similarity" if question.mode == "vector" else question.mode, {}


def _ids(documents: Sequence[Document]) -> Found:
    return [(str(document.id), None) for document in documents]


class LlamaIndex(Front):
    """`llama_index_unisem`: the store over a space, a store of its own, and `UniSemRetriever`."""

    def __init__(self, space: SemanticSpace) -> None:
        super().__init__(space)
        self.embedding = llama_index_unisem.UniSemEmbedding(encoder=space.encoder)
        kind = "list" if isinstance(space.store, ListStore) else None
        self.own = llama_index_unisem.UniSemVectorStore(store=kind)

    def fill(self, records: Sequence[Record]) -> None:
        nodes = self.embedding([_node(record) for record in records])
        llama_index_unisem.UniSemVectorStore(space=self.space).add(nodes)
        self.own.add(nodes)

    def ask(self, question: Question) -> list[Found]:
        spelled: list[Any] = [None]
        if question.condition is not None:
            translated = conditions.llama_index(question.condition)
            spelled = [conditions.core(question.condition)]
            spelled += [] if translated is None else [translated]
        answers = []
        for filters in spelled:
            answers.append(self._retrieved(question, filters))
            if question.min_score is None and question.min_relevance is None:
                shared = llama_index_unisem.UniSemVectorStore(space=self.space)
                answers += [self._queried(store, question, filters) for store in (shared, self.own)]
        return answers

    def _retrieved(self, question: Question, filters: Any) -> Found:
        retriever = llama_index_unisem.UniSemRetriever(
            space=self.space,
            similarity_top_k=question.k,
            filters=filters,
            modality=question.modality,
            match=question.match,
            text_weight=question.text_weight,
            mode=question.mode,
            fusion=question.fusion,
            min_score=question.min_score,
            min_relevance=question.min_relevance,
            diversity=question.diversity,
            fetch_k=question.fetch_k,
        )
        path = None if question.image is None else str(question.image)
        found = retriever.retrieve(QueryBundle(question.text or "", image_path=path))
        return [(node.node_id, node.score) for node in found]

    def _queried(self, store: Any, question: Question, filters: Any) -> Found:
        modes = {
            "vector": VectorStoreQueryMode.DEFAULT,
            "keyword": VectorStoreQueryMode.TEXT_SEARCH,
            "hybrid": VectorStoreQueryMode.HYBRID,
        }
        diverse = question.diversity is not None
        result = (store if question.match == "any" else store.view(question.match)).query(
            VectorStoreQuery(
                query_embedding=None if question.mode == "keyword" else self._vector(question),
                query_str=question.text,
                similarity_top_k=question.k,
                filters=filters,
                mode=VectorStoreQueryMode.MMR if diverse else modes[question.mode],
                alpha=question.alpha,
                mmr_threshold=1 - question.diversity if question.diversity is not None else None,
            ),
            modality=question.modality,
            vector_kind=query_of(question).kind,
            **({"mmr_prefetch_k": question.fetch_k} if question.fetch_k is not None else {}),
        )
        return list(zip(result.ids, result.similarities, strict=True))

    def _vector(self, question: Question) -> list[float]:
        """As a user gets it: of a text, of a picture, or the mean of both by their weights."""
        parts = []
        if question.text is not None:
            weight = 1.0 if question.image is None else question.text_weight
            parts.append(weight * np.array(self.embedding.get_query_embedding(question.text)))
        if question.image is not None:
            weight = 1.0 if question.text is None else 1 - question.text_weight
            vector = self.embedding.get_image_embedding(str(question.image))
            parts.append(weight * np.array(vector))
        return [float(value) for value in np.sum(parts, axis=0)]


def _node(record: Record) -> BaseNode:
    parts: dict[str, Any] = {
        "id_": record.id,
        "text": record.text or "",
        "metadata": dict(record.metadata),
        "excluded_embed_metadata_keys": list(record.metadata),
    }
    if record.image is None:
        return TextNode(**parts)
    return ImageNode(**parts, image_path=str(record.image.path))


def vector_of(space: SemanticSpace, question: Question) -> Any:
    """The question's vector, for the oracle."""
    return space.embed_query(query_of(question))


def query_of(question: Question) -> Query:
    """What is compared by a question."""
    return Query(text=question.text, image=question.image, text_weight=question.text_weight)
