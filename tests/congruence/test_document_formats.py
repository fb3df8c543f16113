"""Every format becomes the same records through every door; the examples ask them."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docx.document import Document as WordDocument
from pptx.presentation import Presentation
from typer.testing import CliRunner

from langchain_unisem import DocumentLoader
from langchain_unisem import UniSemRetriever as LangChainRetriever
from llama_index_unisem import UniSemRetriever as LlamaIndexRetriever
from tests.readers.documents.test_epub import book
from tests.support.chat_server import chat_server
from tests.support.manuals import manual
from tests.support.office import add_picture, slides, word
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.cli.app import application

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
    monkeypatch.setattr("unisem.space.load_encoder", lambda name, **options: ToyEncoder())
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


@pytest.mark.parametrize("script", ["langchain_manual.py", "llama_index_manual.py"])
def test_the_examples_show_the_model_what_they_found(
    manuals: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    script: str,
) -> None:
    monkeypatch.setattr("unisem.space.load_encoder", lambda name, **options: ToyEncoder())
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
