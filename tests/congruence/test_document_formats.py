"""Every format becomes the same records through every door; the examples ask them."""

from __future__ import annotations

import base64
import json
import runpy
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from docx.document import Document as WordDocument
from langchain_core.runnables import RunnablePassthrough
from langchain_openai import ChatOpenAI
from llama_index.core.query_engine import CitationQueryEngine
from llama_index.llms.openai import OpenAI
from pptx.presentation import Presentation
from pptx.util import Pt
from typer.testing import CliRunner

from langchain_unisem import DocumentLoader, MultimodalPrompt
from langchain_unisem import UniSemRetriever as LangChainRetriever
from llama_index_unisem import UniSemImageReader
from llama_index_unisem import UniSemRetriever as LlamaIndexRetriever
from tests.readers.documents.test_epub import book
from tests.support.chat_server import chat_server
from tests.support.manuals import PASSAGE, manual
from tests.support.office import add_picture, add_raw, caption, picture, slides, word
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.cli.app import application
from unisem.images.reference import open_image

ROOT = Path(__file__).parents[2]
SUFFIXES = {".pdf", ".html", ".md", ".ipynb", ".epub", ".docx", ".pptx", ".json"}


@pytest.fixture
def manuals(tmp_path: Path) -> Path:
    folder = tmp_path / "manuals"
    folder.mkdir()
    figure = "<figure><img src='red.png'><figcaption>Figure 1: Red.</figcaption></figure>"
    (folder / "machine.pdf").write_bytes(manual())
    (folder / "red.png").write_bytes(encoded(solid("red")))
    (folder / "page.html").write_text(f"<h1>Oil</h1><p>See Figure 1.</p>{figure}")
    (folder / "page.md").write_text("# Lamp\n\nA green lamp.\n\n![Figure 1: Red.](red.png)\n")
    cell = {"cell_type": "markdown", "source": "# Speed\n\nHow fast it turns."}
    (folder / "speed.ipynb").write_text(json.dumps({"cells": [cell], "nbformat": 4}))
    (folder / "book.epub").write_bytes(book())
    (folder / "letter.docx").write_bytes(word(_letter))
    (folder / "talk.pptx").write_bytes(slides(_talk))
    shutil.copy(ROOT / "tests" / "support" / "docling.json", folder)
    return folder


def _letter(document: WordDocument) -> None:
    document.add_heading("A letter")
    document.add_paragraph("The screws are in the bag.")
    add_picture(document, "blue", "A blue bag")


def _talk(presentation: Presentation) -> None:
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    assert slide.shapes.title is not None
    slide.shapes.title.text = "A talk"
    slide.placeholders[1].text = "The filter is new."  # type: ignore[attr-defined]


@pytest.fixture
def space(manuals: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SemanticSpace]:
    monkeypatch.setenv("PATH", "")  # where LibreOffice would make pictures of slides
    with SemanticSpace.open(manuals.parent / "core.unisem", encoder=ToyEncoder()) as space:
        space.add_folder(manuals)
        yield space


def essence(record: Record) -> tuple[Any, ...]:
    digest = None if record.image is None else record.image.sha256
    return record.text, digest, record.metadata, record.links


def test_the_command_stores_the_same(
    space: SemanticSpace, manuals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = {record.id: essence(record) for record in space.store.select()}
    assert {Path(name.partition("#")[0]).suffix for name in stored} == SUFFIXES
    monkeypatch.setattr("unisem.space_parts.load_encoder", lambda name, **options: ToyEncoder())
    into = manuals.parent / "cli.unisem"
    result = CliRunner().invoke(application(), ["index", str(manuals), "--into", str(into)])
    assert result.exit_code == 0, result.output
    assert "8 documents with" in result.output
    with SemanticSpace.open(into, encoder=ToyEncoder()) as other:
        assert {record.id: essence(record) for record in other.store.select()} == stored


def test_both_frameworks_find_the_same(space: SemanticSpace) -> None:
    question = "the lamp, the filter and the screws"
    hits = space.search(question, k=50)
    documents = LangChainRetriever(space=space, k=50).invoke(question)
    nodes = LlamaIndexRetriever(space=space, similarity_top_k=50).retrieve(question)
    assert [document.id for document in documents] == [hit.record.id for hit in hits]
    assert [found.node.node_id for found in nodes] == [hit.record.id for hit in hits]
    for hit, document, found in zip(hits, documents, nodes, strict=True):
        own = dict(hit.record.metadata)
        assert own == {name: document.metadata.get(name) for name in own}
        assert own == {name: found.node.metadata.get(name) for name in own}


def test_a_loader_gives_the_same_words(space: SemanticSpace, manuals: Path) -> None:
    loaded = DocumentLoader(manuals, encoder=space.encoder).load()
    words = {document.id: document.page_content for document in loaded}
    stored = {record.id: record.text or "" for record in space.store.select()}
    inside = {name for name in stored if name not in words}
    assert all(not stored[name] for name in inside)  # pictures inside a document, without words
    assert words == {name: text for name, text in stored.items() if name not in inside}


def test_a_reader_gives_the_same_records(space: SemanticSpace, manuals: Path) -> None:
    stored = {record.id: record for record in space.store.select()}
    nodes = {node.node_id: node for node in UniSemImageReader(manuals).load_data()}
    assert nodes.keys() == stored.keys()
    for name, record in stored.items():
        node, own = nodes[name], dict(record.metadata)
        assert (node.text or "") == (record.text or "")
        assert own == {key: node.metadata.get(key) for key in own}
        if record.image is not None:  # held in the node, or beside the document
            held = node.resolve_image().read()
            assert open_image(held).tobytes() == record.image.open().tobytes()


FORMATS = {".pdf", ".html", ".md", ".epub", ".docx", ".pptx", ".ipynb"}
TITLE, CAPTION = "1 Opening the machine", "Figure 1: The cover and its screws."


def telling(folder: Path, suffix: str) -> None:
    """Write the first page of the manual in one of the formats."""
    page = (
        f"<h1>{TITLE}</h1><p>{PASSAGE}</p>"
        f"<figure><img src='red.png'><figcaption>{CAPTION}</figcaption></figure>"
    )
    red, file = encoded(solid("red")), folder / f"machine{suffix}"
    if suffix in (".html", ".md"):
        (folder / "red.png").write_bytes(red)
    if suffix == ".pdf":
        file.write_bytes(manual())
    elif suffix == ".html":
        file.write_text(page)
    elif suffix == ".md":
        file.write_text(f"# {TITLE}\n\n{PASSAGE}\n\n![](red.png)\n\n*{CAPTION}*\n")
    elif suffix == ".epub":
        file.write_bytes(book(**{"OPS/text/a.xhtml": page.replace("red.png", "../red.png")}))
    elif suffix == ".docx":
        file.write_bytes(word(_manual))
    elif suffix == ".pptx":
        file.write_bytes(slides(_slide))
    else:
        data = {"image/png": base64.b64encode(red).decode()}
        output = {"output_type": "display_data", "data": data, "metadata": {}}
        said = {"cell_type": "markdown", "source": f"# {TITLE}\n\n{PASSAGE}"}
        drawn = {"cell_type": "code", "source": "draw()", "outputs": [output]}
        told = {"cell_type": "markdown", "source": CAPTION}
        file.write_text(json.dumps({"cells": [said, drawn, told], "nbformat": 4}))


def _manual(document: WordDocument) -> None:
    document.add_heading(TITLE)
    document.add_paragraph(PASSAGE)
    add_picture(document, "red")
    add_raw(document, caption(": The cover and its screws."))


def _slide(presentation: Presentation) -> None:
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    assert slide.shapes.title is not None
    slide.shapes.title.text = TITLE
    slide.placeholders[1].text = PASSAGE  # type: ignore[attr-defined]
    slide.shapes.add_picture(picture("red"), Pt(60), Pt(300), Pt(200), Pt(100))
    slide.shapes.add_textbox(Pt(60), Pt(405), Pt(300), Pt(20)).text_frame.text = CAPTION


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_a_chat_model_gets_passage_caption_place_and_figure_of_every_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setenv("PATH", "")
    (tmp_path / "manuals").mkdir()
    telling(tmp_path / "manuals", suffix)
    question = "The cover and its screws"
    with (
        SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space,
        chat_server(["Figure 1."]) as server,
    ):
        assert space.add_folder(tmp_path / "manuals").skipped == ()
        retriever = LangChainRetriever(space=space, k=2, neighbors=1)
        llm = ChatOpenAI(model="scripted", base_url=server.url, api_key="none")  # type: ignore[arg-type]
        context = {"context": retriever, "question": RunnablePassthrough()}
        (context | MultimodalPrompt(space=space) | llm).invoke(question)
        nodes = LlamaIndexRetriever(space=space, similarity_top_k=2, neighbors=1)
        engine = CitationQueryEngine(
            nodes, llm=OpenAI(model="gpt-4o", api_base=server.url, api_key="x"), multimodal=True
        )
        engine.query(question)
        assert len(server.requests) == 2
        for request in range(2):
            text = server.text(request)
            for said in (PASSAGE, CAPTION, f"machine{suffix}", TITLE):
                assert said in " ".join(text.split())
            shown = [np.median(np.asarray(it), axis=(0, 1)) for it in server.images(request)]
            assert sum(red > 100 + max(green, blue) for red, green, blue in shown) == 1


@pytest.mark.parametrize("script", ["langchain_manual.py", "llama_index_manual.py"])
def test_the_examples_show_the_model_what_they_found(
    manuals: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    script: str,
) -> None:
    monkeypatch.setattr("unisem.space_parts.load_encoder", lambda name, **options: ToyEncoder())
    monkeypatch.setattr(sys, "argv", [script, f"{manuals}/", "The cover and its screws"])
    with chat_server(["As Figure 1 shows [1]."]) as server:
        monkeypatch.setenv("OPENAI_API_BASE", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "x")
        runpy.run_path(str(ROOT / "examples" / script), run_name="__main__")
        assert "The cover comes off as Figure 1 shows" in server.text()
        assert server.images()
    printed = capsys.readouterr().out
    assert "documents=8" in printed
    assert "As Figure 1 shows [1]." in printed
