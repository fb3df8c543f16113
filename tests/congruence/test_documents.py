"""A question to a PDF, in both frameworks: the figure, its caption, page and passage are sent."""

from __future__ import annotations

import base64
import re
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
from tests.support.rerankers import ColourReranker
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.common.skipped import Skipped
from unisem.images.for_models import ImageLimits

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


def check_page(server: ChatServer) -> None:
    """The whole page, with a frame round the figure, and no figure alone."""
    sent = [np.asarray(picture.convert("RGB")).astype(int) for picture in server.images()]
    reds = [(np.abs(pixels - (220, 30, 30)).sum(axis=2) < 20).mean() for pixels in sent]
    page = server.images()[int(np.argmax(reds))]
    assert page.size == (794, 1123)  # A4 at 96 dots per inch
    pixels = np.asarray(page.convert("RGB")).astype(int)
    frame = np.abs(pixels - (215, 38, 61)).sum(axis=2) < 30
    rows, columns = np.nonzero(frame)
    # The figure is at 60, 220 and 180 by 120 points; a frame is some pixels wide.
    found = np.array([columns.min(), rows.min(), columns.max(), rows.max()]) * 72 / 96
    assert np.abs(found - (60, 220, 240, 340)).max() < 10
    assert len([picture for picture in server.images() if is_red(picture)]) == 0


def test_langchain_sends_the_page_that_a_figure_is_on(space: SemanticSpace) -> None:
    retriever = LangChainRetriever(space=space, k=1, neighbors=1)
    with chat_server(["Figure 1."]) as server:
        llm = ChatOpenAI(model="scripted", base_url=server.url, api_key="none")  # type: ignore[arg-type]
        prompt = MultimodalPrompt(space=space, limits=ImageLimits(regions="on_page"))
        context = {"context": retriever, "question": RunnablePassthrough()}
        (context | prompt | llm).invoke(QUESTION)
        check_page(server)


@pytest.mark.parametrize("citing", [False, True])
def test_llama_index_sends_the_page_that_a_figure_is_on(space: SemanticSpace, citing: bool) -> None:
    retriever = LlamaIndexRetriever(
        space=space,
        similarity_top_k=1,
        neighbors=1,
        image_limits=ImageLimits(regions="on_page"),
    )
    with chat_server(["Figure 1."]) as server:
        llm = OpenAI(model="gpt-4o", api_base=server.url, api_key="x", max_retries=0)
        if citing:
            engine = CitationQueryEngine(retriever, llm=llm, multimodal=True)
        else:
            engine = RetrieverQueryEngine.from_args(retriever, llm=llm, multimodal=True)
        engine.query(QUESTION)
        check_page(server)


def test_documents_are_reranked_by_their_words_and_nothing_comes_twice(
    folder: Path, tmp_path: Path
) -> None:
    """Passages and captions are judged as texts; then each brings its own, once."""
    (folder / "machine.pdf").write_bytes(manual(pages=6))
    reranker = ColourReranker(sees_images=False)
    question = "what page number 6 says, and Figure 1 of the cover"
    with SemanticSpace.open(tmp_path / "r.unisem", encoder=ToyEncoder()) as space:
        space.add_folder(folder)
        plain = space.search(question, k=20)
        expected = sorted(
            plain,
            key=lambda hit: (-_shared_words(question, hit.record.text or ""), hit.record.id),
        )
        hits = space.search(question, k=20, reranker=reranker, fetch_k=20)
        assert [hit.record.id for hit in hits] == [hit.record.id for hit in expected]
        with_own = space.search(question, k=3, reranker=reranker, fetch_k=20, neighbors=1)
        ids = [hit.record.id for hit in with_own]
        assert len(ids) == len(set(ids))
        assert {hit.record.id for hit in hits[:3]} <= set(ids)
        assert FIGURE in ids
        documents = LangChainRetriever(
            space=space, k=3, reranker=reranker, fetch_k=20, neighbors=1
        ).invoke(question)
        nodes = LlamaIndexRetriever(
            space=space, similarity_top_k=3, reranker=reranker, fetch_k=20, neighbors=1
        ).retrieve(question)
        assert [document.id for document in documents] == ids
        assert [node.node.node_id for node in nodes] == ids


def _shared_words(question: str, text: str) -> int:
    words = set(re.findall(r"\w+", question.lower()))
    return len(words & set(re.findall(r"\w+", text.lower())))
