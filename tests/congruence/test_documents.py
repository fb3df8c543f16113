"""A question to a PDF, in both frameworks: the figure, its caption, page and passage are sent."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from langchain_core.runnables import RunnablePassthrough
from langchain_openai import ChatOpenAI
from llama_index.core.query_engine import CitationQueryEngine, RetrieverQueryEngine
from llama_index.llms.openai import OpenAI
from PIL import Image

from langchain_unisem import DocumentLoader, MultimodalPrompt
from langchain_unisem import UniSemRetriever as LangChainRetriever
from langchain_unisem import UniSemVectorStore as LangChainStore
from llama_index_unisem import UniSemImageReader
from llama_index_unisem import UniSemRetriever as LlamaIndexRetriever
from tests.support.chat_server import ChatServer, chat_server
from tests.support.manuals import manual
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.common.skipped import Skipped

QUESTION = "The cover and its screws"
FIGURE = "manuals/machine.pdf#p1-figure-1"
PASSAGE = "manuals/machine.pdf#p1-1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "manuals").mkdir()
    (tmp_path / "manuals" / "machine.pdf").write_bytes(manual())
    return tmp_path / "manuals"


@pytest.fixture
def space(folder: Path) -> Iterator[SemanticSpace]:
    with SemanticSpace.open(folder.parent / "s.unisem", encoder=ToyEncoder()) as space:
        space.add_folder(folder)
        yield space


def check_request(server: ChatServer) -> None:
    """The words of the passage, the caption and where it stands, and the red figure, once."""
    text = server.text()
    assert "The cover comes off as Figure 1 shows" in text
    assert "Figure 1: The cover and its screws." in text
    assert "machine.pdf" in text
    assert "1 Opening the machine" in text
    pictures = [picture for picture in server.images() if is_red(picture)]
    assert len(pictures) == 1
    assert len(server.requests) == 1


def is_red(picture: Image.Image) -> bool:
    pixels = np.asarray(picture).astype(int)
    return bool((np.abs(np.median(pixels, axis=(0, 1)) - (220, 30, 30)) < 8).all())


def test_langchain_sends_figure_caption_page_and_passage(space: SemanticSpace) -> None:
    retriever = LangChainRetriever(space=space, k=1, neighbors=1)
    documents = retriever.invoke(QUESTION)
    assert {document.id for document in documents} >= {PASSAGE, FIGURE}
    with chat_server(["Figure 1."]) as server:
        llm = ChatOpenAI(model="scripted", base_url=server.url, api_key="none")  # type: ignore[arg-type]
        context = {"context": retriever, "question": RunnablePassthrough()}
        (context | MultimodalPrompt(space=space) | llm).invoke(QUESTION)
        check_request(server)
        assert "p. 1, Figure 1, § 1 Opening the machine" in server.text()


@pytest.mark.parametrize("citing", [False, True])
def test_llama_index_sends_figure_caption_page_and_passage(
    space: SemanticSpace, citing: bool
) -> None:
    retriever = LlamaIndexRetriever(space=space, similarity_top_k=1, neighbors=1)
    with chat_server(["Figure 1."]) as server:
        llm = OpenAI(model="gpt-4o", api_base=server.url, api_key="x", max_retries=0)
        if citing:
            engine = CitationQueryEngine(retriever, llm=llm, multimodal=True)
        else:
            engine = RetrieverQueryEngine.from_args(retriever, llm=llm, multimodal=True)
        response = engine.query(QUESTION)
        assert {node.node.metadata["page_label"] for node in response.source_nodes} >= {"1"}
        check_request(server)
        assert "page_label: 1" in server.text()
        assert "label: Figure 1" in server.text()


def test_both_frameworks_get_the_same_records(space: SemanticSpace) -> None:
    documents = LangChainRetriever(space=space, k=3, neighbors=1).invoke(QUESTION)
    nodes = LlamaIndexRetriever(space=space, similarity_top_k=3, neighbors=1).retrieve(QUESTION)
    hits = space.search(QUESTION, k=3, neighbors=1)
    ids = [hit.record.id for hit in hits]
    assert [document.id for document in documents] == ids
    assert [node.node.node_id for node in nodes] == ids
    assert len(set(ids)) == len(ids)


def test_a_figure_that_a_loader_made_is_stored_and_shown(folder: Path, tmp_path: Path) -> None:
    space = SemanticSpace.open(tmp_path / "l.unisem", encoder=ToyEncoder())
    store = LangChainStore(space=space)
    documents = DocumentLoader(folder / "machine.pdf").load()
    assert [document.metadata["kind"] for document in documents].count("figure") == 2
    store.add_documents(documents)
    (found,) = store.similarity_search("red", k=1, filter={"kind": "figure"})
    (record,) = space.get([found.id or ""])
    assert record is not None
    assert record.image is not None
    assert record.image.region is not None
    assert is_red(record.image.open())
    space.close()


def test_a_picture_inside_a_document_costs_a_loader_that_picture_only(tmp_path: Path) -> None:
    red = base64.b64encode(encoded(solid("red"))).decode()
    page = (
        f"<p>Before.</p><figure><img src='data:image/png;base64,{red}'><figcaption>It</figcaption>"
    )
    (tmp_path / "page.html").write_text(page + "</figure><p>After.</p>")
    told: list[Skipped] = []
    documents = DocumentLoader(tmp_path / "page.html", on_skip=told.append).load()
    assert [document.page_content for document in documents] == ["Before.", "It", "After."]
    assert ["inside the document" in skipped.reason for skipped in told] == [True]


def test_a_readers_figure_is_a_picture_to_every_component(folder: Path) -> None:
    documents = UniSemImageReader(folder).load_data()
    figures = [item for item in documents if item.metadata.get("kind") == "figure"]
    assert len(figures) == 2
    assert is_red(Image.open(figures[0].resolve_image()))  # type: ignore[attr-defined]
