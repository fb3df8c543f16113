"""`UniSemReranker` inside chains, tracers and LangChain's own compression retriever."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_classic.retrievers.document_compressors import DocumentCompressorPipeline
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnablePassthrough

from langchain_unisem import ImageQuery, MultimodalPrompt, UniSemReranker, UniSemRetriever
from tests.support.pictures import solid
from tests.support.rerankers import ColourReranker
from unisem import Record, SemanticSpace


@pytest.fixture
def bare_space(space: SemanticSpace) -> SemanticSpace:
    pictures = [Record(id=colour, image=solid(colour)) for colour in ("red", "green", "blue")]
    space.add([*pictures, Record(id="note", text="what is it?")])
    return space


@pytest.fixture
def reranker(bare_space: SemanticSpace) -> UniSemReranker:
    return UniSemReranker(reranker=ColourReranker(), space=bare_space, top_n=2)


@pytest.mark.parametrize(
    ("question", "best"),
    [("which is blue?", "blue"), (ImageQuery(solid("green"), text="what?"), "green")],
)
def test_a_step_of_a_chain(
    bare_space: SemanticSpace, reranker: UniSemReranker, question: Any, best: str
) -> None:
    retriever = UniSemRetriever(space=bare_space, k=4)
    found = {"context": retriever, "question": RunnablePassthrough()}
    chain = found | RunnablePassthrough.assign(context=reranker)
    state = chain.invoke(question)
    assert state["question"] is question
    assert state["context"][0].id == best
    assert len(state["context"]) == 2
    (message,) = (chain | MultimodalPrompt(space=bare_space)).invoke(question).to_messages()
    assert [block["type"] for block in message.content_blocks].count("image") >= 1


async def test_every_way_to_call_a_runnable(reranker: UniSemReranker) -> None:
    documents = [Document("tea", id="t"), Document("red tea", id="r"), Document("", id="blue")]
    names = [("question", "context"), ("query", "documents"), ("query", "context")]
    inputs = [{asked: "red tea", found: documents, "k": 3} for asked, found in names]
    expected = reranker.compress_documents(documents, "red tea")
    assert [document.id for document in expected] == ["r", "t"]
    for given in inputs:
        assert reranker.invoke(given) == expected
        assert await reranker.ainvoke(given) == expected
    assert reranker.batch(inputs) == [expected] * 3
    assert await reranker.abatch(inputs) == [expected] * 3
    assert list(reranker.stream(inputs[0])) == [expected]
    ids = reranker | RunnableLambda(lambda found: [document.id for document in found])
    assert ids.invoke(inputs[0]) == ["r", "t"]


def test_configurable_fields(reranker: UniSemReranker) -> None:
    documents = [Document("tea", id="t"), Document("red tea", id="r")]
    configurable = reranker.configurable_fields(top_n=ConfigurableField(id="top_n"))
    given = {"question": "red", "context": documents}
    found = configurable.invoke(given, config={"configurable": {"top_n": 1}})
    assert [document.id for document in found] == ["r"]
    assert len(configurable.invoke(given)) == 2


def test_wrong_inputs_say_what_is_missing(reranker: UniSemReranker) -> None:
    documents = [Document("tea")]
    for given, what in (
        ({"question": "tea"}, "'context' and 'documents'.* got 'question'"),
        ({"context": documents}, "'question' and 'query'.* got 'context'"),
        ({}, "got nothing"),
        ({"question": "a", "query": "b", "context": documents}, "exactly one of 'question'"),
    ):
        with pytest.raises(ValueError, match=what):
            reranker.invoke(given)
    with pytest.raises(TypeError, match=r"takes .*not list"):
        reranker.invoke(documents)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unknown option top_k"):
        reranker.invoke({"question": "a", "context": documents}, top_k=3)


def test_a_trace_has_the_step_and_no_pixels(reranker: UniSemReranker) -> None:
    class Recorder(BaseCallbackHandler):
        def __init__(self) -> None:
            self.steps: list[tuple[Any, Any]] = []
            self.ends: list[Any] = []

        def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
            self.steps.append((kwargs["name"], inputs))

        def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
            self.ends.append(outputs)

    recorder = Recorder()
    query = ImageQuery(solid("red", (500, 500)))
    given = {"question": query, "context": [Document("", id="red")]}
    found = reranker.invoke(given, {"callbacks": [recorder]})
    assert [name for name, _ in recorder.steps] == ["UniSemReranker"]
    assert recorder.ends == [found]
    assert len(repr(recorder.steps)) < 1000


def test_langchains_compression_retriever(
    bare_space: SemanticSpace, reranker: UniSemReranker
) -> None:
    compressed = ContextualCompressionRetriever(
        base_compressor=reranker, base_retriever=UniSemRetriever(space=bare_space, k=4)
    )
    found = compressed.invoke("which is blue?")
    assert found[0].id == "blue"
    assert len(found) == 2


async def test_langchains_compression_retriever_async(
    bare_space: SemanticSpace, reranker: UniSemReranker
) -> None:
    compressed = ContextualCompressionRetriever(
        base_compressor=DocumentCompressorPipeline(transformers=[reranker]),
        base_retriever=UniSemRetriever(space=bare_space, k=4),
    )
    assert (await compressed.ainvoke("a red one?"))[0].id == "red"
