"""`UniSemRetriever` in the hands of LangChain's tracers, tools and configuration."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import create_retriever_tool

from langchain_unisem import ImageQuery, UniSemRetriever
from tests.support.pictures import solid


def test_configurable_fields(retriever: UniSemRetriever) -> None:
    configurable = retriever.configurable_fields(k=ConfigurableField(id="k"))
    assert len(configurable.invoke("red", config={"configurable": {"k": 2}})) == 2
    assert len(configurable.invoke("red")) == 4


class Recorder(BaseCallbackHandler):
    """Keeps what a tracer is told."""

    def __init__(self) -> None:
        self.queries: list[Any] = []
        self.metadata: list[Any] = []
        self.errors: list[BaseException] = []

    def on_retriever_start(self, serialized: Any, query: Any, **kwargs: Any) -> None:
        self.queries.append(query)
        self.metadata.append(kwargs["metadata"])

    def on_retriever_error(self, error: BaseException, **kwargs: Any) -> None:
        self.errors.append(error)


def test_what_a_tracer_sees(retriever: UniSemRetriever) -> None:
    recorder = Recorder()
    config: Any = {"callbacks": [recorder]}
    retriever.invoke("red", config)
    retriever.invoke(ImageQuery(solid("red"), "card"), config, k=1)
    with pytest.raises(TypeError):
        retriever.invoke("red", config, top_k=1)
    assert recorder.queries == ["red", "card", "red"]
    assert len(recorder.errors) == 1
    told = {
        "ls_retriever_name": "unisem",
        "ls_vector_store_provider": "UniSem",
        "ls_embedding_provider": "UniSem",
        "ls_embedding_model": "toy-0",
    }
    assert told.items() <= recorder.metadata[0].items()


def test_a_picture_query_writes_out_no_bytes() -> None:
    serde = pytest.importorskip("langsmith._internal._serde")  # what LangSmith uploads
    query = ImageQuery(solid("red"), "card")
    assert repr(query).startswith("ImageQuery('<")
    assert len(serde.dumps_json({"input": query})) < 100


def test_as_a_tool_of_langchain(retriever: UniSemRetriever) -> None:
    tool = create_retriever_tool(retriever, "cards", "Searches cards.")
    assert tool.invoke({"query": "a red card"}).startswith("a red card")


def test_repr_says_little(retriever: UniSemRetriever) -> None:
    assert "ToyEncoder" not in repr(retriever)
    assert "toy.unisem" in repr(retriever)
