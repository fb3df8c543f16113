"""Doors: every public retriever, engine and tool of both frameworks, over one space."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.documents import Document
from llama_index.core import VectorStoreIndex
from llama_index.core.chat_engine.types import ChatMode
from llama_index.core.llms import MockLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import VectorStoreQuery

import langchain_unisem
import llama_index_unisem
from langchain_unisem import (
    ImageQuery,
    UniSemInlineRetrievalTool,
    UniSemRetrievalTool,
)
from llama_index_unisem import (
    UniSemEmbedding,
    UniSemIndex,
    UniSemQueryEngineTool,
    UniSemRetrieverTool,
)
from tests.congruence import conditions
from tests.congruence.fronts import Found, Question, langchain_search
from unisem import SemanticSpace

Answer = Found | None
"""What a door answers; ``None`` where it has no word for a part of the question."""
Door = Callable[[SemanticSpace, Question], Answer]


# -- LangChain -------------------------------------------------------------------------------------


def langchain_retriever(space: SemanticSpace, question: Question) -> Answer:
    """`langchain_unisem.UniSemRetriever`."""
    retriever = _langchain(space, question)
    return None if retriever is None else _documents(retriever.invoke(_asked(question)))


def langchain_retriever_async(space: SemanticSpace, question: Question) -> Answer:
    """Its ``ainvoke``, with everything said at the call."""
    settings = _langchain_settings(question)
    if settings is None:
        return None
    retriever = langchain_unisem.UniSemRetriever(space=space)
    return _documents(asyncio.run(retriever.ainvoke(_asked(question), **settings)))


def langchain_store(space: SemanticSpace, question: Question) -> Answer:
    """`langchain_unisem.UniSemVectorStore`'s searches."""
    settings = _store_settings(question)
    if settings is None:
        return None
    store = langchain_unisem.UniSemVectorStore(space=space)
    kind = settings.pop("search_type")
    if kind == "mmr":
        # Its own default is LangChain's 20.
        settings.setdefault("fetch_k", max(50, 4 * question.k))
        return _named(store.max_marginal_relevance_search(_asked(question), **settings))
    mode = kind if kind in ("keyword", "hybrid") else "vector"
    found = store.similarity_search_with_score(_asked(question), mode=mode, **settings)
    return [(str(document.id), score) for document, score in found]


def langchain_store_retriever(space: SemanticSpace, question: Question) -> Answer:
    """Its ``as_retriever``."""
    settings = _store_settings(question)
    if settings is None:
        return None
    kind = settings.pop("search_type")
    if kind == "mmr":
        settings.setdefault("fetch_k", max(50, 4 * question.k))
    elif kind == "similarity" and "score_threshold" in settings:
        kind = "similarity_score_threshold"
    store = langchain_unisem.UniSemVectorStore(space=space)
    retriever = store.as_retriever(search_type=kind, search_kwargs=settings)
    return _named(retriever.invoke(_asked(question)))


def langchain_tool(space: SemanticSpace, question: Question) -> Answer:
    """`langchain_unisem.UniSemRetrievalTool`."""
    return _langchain_tool(UniSemRetrievalTool, space, question)


def langchain_inline_tool(space: SemanticSpace, question: Question) -> Answer:
    """`langchain_unisem.UniSemInlineRetrievalTool`."""
    return _langchain_tool(UniSemInlineRetrievalTool, space, question)


def _langchain_tool(
    make: type[UniSemRetrievalTool], space: SemanticSpace, question: Question
) -> Answer:
    retriever = _langchain(space, question)
    if retriever is None or question.image is not None:
        return None
    call = {"type": "tool_call", "id": "1", "name": "search", "args": {"query": question.text}}
    message = make(name="search", retriever=retriever).invoke(call)
    return [(str(item["id"]), None) for item in message.artifact]


def _langchain(space: SemanticSpace, question: Question) -> Any:
    settings = _langchain_settings(question)
    return None if settings is None else langchain_unisem.UniSemRetriever(space=space, **settings)


def _store_settings(question: Question) -> dict[str, Any] | None:
    settings = _langchain_settings(question)
    if settings is None or settings.pop("reranker") is not None:
        return None
    return settings


def _langchain_settings(question: Question) -> dict[str, Any] | None:
    if question.min_score is not None and question.mode != "vector":
        return None  # a threshold is a relevance, which only searches by vector have
    kind, further = langchain_search(question)
    if kind == "similarity_score_threshold":
        kind = "similarity"
    elif question.min_score is not None:
        further = further | {"score_threshold": (1 + question.min_score) / 2}
    condition = question.condition
    settings = {
        "search_type": kind,
        "k": question.k,
        "match": question.match,
        "modality": question.modality,
        "text_weight": question.text_weight,
        "filter": None if condition is None else conditions.core(condition),
        "neighbors": question.neighbors,
        "reranker": question.reranker,
        "graph": question.graph,
        **further,
    }
    if question.mode == "hybrid":
        settings["fusion"] = question.fusion
    if question.fetch_k is not None:
        settings["fetch_k"] = question.fetch_k
    return settings


def _asked(question: Question) -> Any:
    if question.image is None:
        return question.text
    return ImageQuery(question.image, question.text)


def _documents(found: Sequence[Document]) -> Found:
    return [(str(one.id), one.metadata["unisem"]["score"]) for one in found]


def _named(found: Sequence[Document]) -> Found:
    return [(str(one.id), None) for one in found]


# -- LlamaIndex ------------------------------------------------------------------------------------


def llama_index_retriever(space: SemanticSpace, question: Question) -> Answer:
    """`llama_index_unisem.UniSemRetriever`."""
    return _nodes(_llama_index(space, question).retrieve(_bundle(question)))


def llama_index_retriever_async(space: SemanticSpace, question: Question) -> Answer:
    """Its ``aretrieve``."""
    return _nodes(asyncio.run(_llama_index(space, question).aretrieve(_bundle(question))))


def llama_index_engine(space: SemanticSpace, question: Question) -> Answer:
    """LlamaIndex's query engine over it."""
    engine = RetrieverQueryEngine.from_args(_llama_index(space, question), llm=MockLLM())
    return _nodes(engine.query(_bundle(question)).source_nodes)


def llama_index_tool(space: SemanticSpace, question: Question) -> Answer:
    """`llama_index_unisem.UniSemRetrieverTool`."""
    if question.image is not None:
        return None
    tool = UniSemRetrieverTool(_llama_index(space, question))
    return _nodes(tool.call(query=question.text).raw_output)


def index_retriever(space: SemanticSpace, question: Question) -> Answer:
    """``UniSemIndex.as_retriever``."""
    index, settings = _index(space, question)
    return _nodes(index.as_retriever(**settings).retrieve(_bundle(question)))


def index_retriever_async(space: SemanticSpace, question: Question) -> Answer:
    """Its ``aretrieve``."""
    index, settings = _index(space, question)
    return _nodes(asyncio.run(index.as_retriever(**settings).aretrieve(_bundle(question))))


def index_engine(space: SemanticSpace, question: Question) -> Answer:
    """``UniSemIndex.as_query_engine``, through its tool."""
    index, settings = _index(space, question)
    engine = index.as_query_engine(llm=MockLLM(), **settings)
    if question.image is not None:
        return _nodes(engine.query(_bundle(question)).source_nodes)
    return _nodes(UniSemQueryEngineTool(engine).call(question.text).raw_output.source_nodes)


def index_chat(mode: str) -> Door:
    """``UniSemIndex.as_chat_engine`` in one mode."""

    def ask(space: SemanticSpace, question: Question) -> Answer:
        if question.image is not None:
            return None
        index, settings = _index(space, question)
        memory = ChatMemoryBuffer.from_defaults(token_limit=10_000)
        engine = index.as_chat_engine(ChatMode(mode), MockLLM(), memory=memory, **settings)
        assert question.text is not None
        return _nodes(engine.chat(question.text).source_nodes)

    return ask


def store_query(space: SemanticSpace, question: Question) -> Answer:
    """``UniSemVectorStore.query``."""
    if not _plain(question):
        return None
    settings = _index_settings(question)
    vector = None
    if question.mode != "keyword":
        vector = _embedding(space).get_query_embedding(question.text or "")
    query = VectorStoreQuery(
        query_str=question.text,
        query_embedding=vector,
        similarity_top_k=question.k,
        mode=settings["vector_store_query_mode"],
        alpha=question.alpha,
        filters=settings["filters"],
    )
    result = _store(space, question).query(query, **_kwargs(question))
    assert result.ids is not None
    assert result.similarities is not None
    return list(zip(result.ids, result.similarities, strict=True))


def core_index_retriever(space: SemanticSpace, question: Question) -> Answer:
    """LlamaIndex's own ``VectorStoreIndex`` over a `UniSemVectorStore`."""
    if not _plain(question):
        return None
    settings = _index_settings(question)
    for name in ("reranker", "min_score", "fetch_k", "neighbors", "text_weight", "modality"):
        del settings[name]
    settings["vector_store_kwargs"] = _kwargs(question)
    index = VectorStoreIndex.from_vector_store(
        _store(space, question), embed_model=_embedding(space)
    )
    return _nodes(index.as_retriever(**settings).retrieve(question.text or ""))


def _plain(question: Question) -> bool:
    """Whether LlamaIndex's own query has a word for each of its parts."""
    rich = (
        *(question.image, question.min_score, question.reranker),
        *(question.neighbors or None, question.graph),
    )
    return all(part is None for part in rich)


def _llama_index(space: SemanticSpace, question: Question) -> llama_index_unisem.UniSemRetriever:
    condition = question.condition
    return llama_index_unisem.UniSemRetriever(
        space=space,
        similarity_top_k=question.k,
        filters=None if condition is None else conditions.core(condition),
        modality=question.modality,
        match=question.match,
        text_weight=question.text_weight,
        mode=question.mode,
        fusion=question.fusion,
        min_score=question.min_score,
        diversity=question.diversity,
        fetch_k=question.fetch_k,
        reranker=question.reranker,
        neighbors=question.neighbors,
        graph=question.graph,
    )


def _index(space: SemanticSpace, question: Question) -> tuple[UniSemIndex, dict[str, Any]]:
    settings = _index_settings(question)
    if question.diversity is not None:
        settings["vector_store_kwargs"] = {"mmr_threshold": 1 - question.diversity}
    if question.match == "any":
        return UniSemIndex(space=space), settings
    return UniSemIndex.from_vector_store(_store(space, question), _embedding(space)), settings


def _index_settings(question: Question) -> dict[str, Any]:
    modes = {"vector": "default", "keyword": "text_search", "hybrid": "hybrid"}
    condition = question.condition
    return {
        "similarity_top_k": question.k,
        "vector_store_query_mode": "mmr"
        if question.diversity is not None
        else modes[question.mode],
        "filters": None if condition is None else conditions.core(condition),
        "alpha": question.alpha,
        "modality": question.modality,
        "text_weight": question.text_weight,
        "min_score": question.min_score,
        "reranker": question.reranker,
        "fetch_k": question.fetch_k,
        "neighbors": question.neighbors,
    }


def _kwargs(question: Question) -> dict[str, Any]:
    said: dict[str, Any] = {"modality": question.modality}
    if question.diversity is not None:
        said["mmr_threshold"] = 1 - question.diversity
        if question.fetch_k is not None:
            said["mmr_prefetch_k"] = question.fetch_k
    return said


def _store(space: SemanticSpace, question: Question) -> Any:
    store = llama_index_unisem.UniSemVectorStore(space=space)
    return store if question.match == "any" else store.view(question.match)


def _embedding(space: SemanticSpace) -> UniSemEmbedding:
    return UniSemEmbedding(encoder=space.encoder)


def _bundle(question: Question) -> QueryBundle:
    path = None if question.image is None else str(question.image)
    return QueryBundle(question.text or "", image_path=path)


def _nodes(found: Sequence[NodeWithScore]) -> Found:
    return [(one.node_id, one.score) for one in found]


def graphless(door: Door) -> Door:
    """A door that asks by LlamaIndex's own query, which has no word for a graph."""

    def ask(space: SemanticSpace, question: Question) -> Answer:
        return None if question.graph is not None else door(space, question)

    return ask


DOORS: dict[str, Door] = {
    "LangChain retriever": langchain_retriever,
    "LangChain retriever, at the call and async": langchain_retriever_async,
    "LangChain store": langchain_store,
    "LangChain store's retriever": langchain_store_retriever,
    "LangChain tool": langchain_tool,
    "LangChain inline tool": langchain_inline_tool,
    "LlamaIndex retriever": llama_index_retriever,
    "LlamaIndex retriever, async": llama_index_retriever_async,
    "LlamaIndex query engine": llama_index_engine,
    "LlamaIndex tool": llama_index_tool,
    "index's retriever": graphless(index_retriever),
    "index's retriever, async": graphless(index_retriever_async),
    "index's query engine and its tool": graphless(index_engine),
    "index's chat engine, context": graphless(index_chat("context")),
    "index's chat engine, condense_plus_context": graphless(index_chat("condense_plus_context")),
    "index's chat engine, condense_question": graphless(index_chat("condense_question")),
    "LlamaIndex store": store_query,
    "LlamaIndex's own index over the store": core_index_retriever,
}
