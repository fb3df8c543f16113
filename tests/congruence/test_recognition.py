"""Words in pictures are read alike by the core and both frameworks, and bring their picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from langchain_core.runnables import RunnablePassthrough
from langchain_openai import ChatOpenAI
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import Document as LlamaIndexDocument
from llama_index.llms.openai import OpenAI

from langchain_unisem import DocumentLoader, ImageFolderLoader, MultimodalPrompt
from langchain_unisem import UniSemRetriever as LangChainRetriever
from langchain_unisem import UniSemVectorStore as LangChainStore
from llama_index_unisem import UniSemImageReader
from llama_index_unisem import UniSemRetriever as LlamaIndexRetriever
from tests.readers.documents.test_scans import scan
from tests.support.chat_server import ChatServer, chat_server
from tests.support.pictures import solid
from tests.support.recognizers import ColourRecognizer
from tests.support.toy import COLOURS, ToyEncoder
from unisem import SemanticSpace

WORDS = {COLOURS["red"]: ["Error 4711", "Press any key"], COLOURS["blue"]: ["Roadmap"]}
READ = {
    "shots/blue.png#words-1": "Roadmap",
    "shots/red.png#words-1": "Error 4711\nPress any key",
}
QUESTION = "what is Error 4711"
PICTURE = "shots/red.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "shots"
    folder.mkdir()
    for colour in ("red", "green", "blue"):
        solid(colour).save(folder / f"{colour}.png")
    (folder / "red.txt").write_text("my screen")
    return folder


@pytest.fixture
def space(folder: Path) -> Iterator[SemanticSpace]:
    with SemanticSpace.open(folder.parent / "s.unisem", encoder=ToyEncoder()) as opened:
        opened.add_folder(folder, recognizer=ColourRecognizer(WORDS))
        yield opened


def test_every_loader_gives_the_words_that_the_core_stores(
    space: SemanticSpace, folder: Path
) -> None:
    stored = {it.id: it.text for it in space.store.select() if it.metadata.get("recognized")}
    assert stored == READ
    loaders = (
        ImageFolderLoader(folder, recognizer=ColourRecognizer(WORDS)),
        DocumentLoader(folder, recognizer=ColourRecognizer(WORDS)),
    )
    for loader in loaders:
        documents = loader.load()
        read = [it for it in documents if it.metadata.get("recognized")]
        assert {it.id: it.page_content for it in read} == READ
        assert {it.metadata["source"] for it in read} == {
            str(folder / "red.png"),
            str(folder / "blue.png"),
        }
        ids = [it.id for it in documents]
        assert ids.index(PICTURE) + 1 == ids.index("shots/red.png#words-1")
        assert next(it for it in documents if it.id == PICTURE).page_content == "my screen"
    nodes = UniSemImageReader(folder, recognizer=ColourRecognizer(WORDS)).load_data()
    found = [it for it in nodes if it.metadata.get("recognized")]
    assert {it.id_: it.text for it in found} == READ
    assert all(type(it) is LlamaIndexDocument for it in found)


def test_a_single_file_gives_its_words_under_names_of_their_own(folder: Path) -> None:
    path = folder / "red.png"
    loader = DocumentLoader(path, recognizer=ColourRecognizer(WORDS))
    assert [it.id for it in loader.load()] == [PICTURE, f"{PICTURE}#words-1"]
    nodes = UniSemImageReader(recognizer=ColourRecognizer(WORDS)).load_data(path)
    assert [it.id_ for it in nodes] == [str(path), f"{path}#words-1"]


def test_scanned_pages_are_read_by_loaders(folder: Path) -> None:
    (folder / "letter.pdf").write_bytes(scan(solid("red")))
    texts = ["Error 4711 Press any key"]
    loaded = DocumentLoader(folder / "letter.pdf", recognizer=ColourRecognizer(WORDS)).load()
    assert [it.page_content for it in loaded if it.metadata.get("recognized")] == texts
    nodes = UniSemImageReader(folder, recognizer=ColourRecognizer(WORDS)).load_data()
    found = [it for it in nodes if it.metadata.get("file_name") == "letter.pdf"]
    assert [it.text for it in found if it.metadata.get("recognized")] == texts


def test_every_front_gives_the_picture_for_its_words(space: SemanticSpace) -> None:
    assert space.search(QUESTION, k=1)[0].record.id == PICTURE
    (document,) = LangChainRetriever(space=space, k=1).invoke(QUESTION)
    assert (document.id, document.page_content) == (PICTURE, "my screen")
    (stored,) = LangChainStore(space=space).similarity_search(QUESTION, k=1)
    assert stored.id == PICTURE
    (node,) = LlamaIndexRetriever(space=space, similarity_top_k=1).retrieve(QUESTION)
    assert node.node.node_id == PICTURE
    both = ["shots/red.png#words-1", PICTURE]
    assert [it.record.id for it in space.search(QUESTION, k=1, neighbors=1)] == both
    around = LangChainRetriever(space=space, k=1, neighbors=1).invoke(QUESTION)
    assert [it.id for it in around] == both
    nodes = LlamaIndexRetriever(space=space, similarity_top_k=1, neighbors=1).retrieve(QUESTION)
    assert [it.node.node_id for it in nodes] == both


def check_request(server: ChatServer) -> None:
    """The picture, its caption, and what was read in it."""
    assert "Error 4711" in server.text().replace(QUESTION, "")
    assert "my screen" in server.text()
    (picture,) = server.images()
    middle = np.median(np.asarray(picture).astype(int), axis=(0, 1))
    assert (np.abs(middle - COLOURS["red"]) < 8).all()


def test_a_chat_model_is_sent_words_and_picture(space: SemanticSpace) -> None:
    with chat_server(["It is red."]) as server:
        llm = ChatOpenAI(model="scripted", base_url=server.url, api_key="none")  # type: ignore[arg-type]
        retriever = LangChainRetriever(space=space, k=1, neighbors=1)
        context = {"context": retriever, "question": RunnablePassthrough()}
        (context | MultimodalPrompt(space=space) | llm).invoke(QUESTION)
        check_request(server)
    with chat_server(["It is red."]) as server:
        llm = OpenAI(model="gpt-4o", api_base=server.url, api_key="none")
        nodes = LlamaIndexRetriever(space=space, similarity_top_k=1, neighbors=1)
        RetrieverQueryEngine.from_args(nodes, llm=llm, multimodal=True).query(QUESTION)
        check_request(server)
