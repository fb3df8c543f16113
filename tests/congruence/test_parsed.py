"""What another tool has parsed becomes the same records by LangChain's way and by LlamaIndex's."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import Document as LlamaDocument
from llama_index.core.schema import TextNode

import langchain_unisem
import llama_index_unisem
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.common.skipped import Skipped

BLUE = base64.b64encode(encoded(solid("blue"))).decode()
# By Unstructured, LlamaParse and a PDF loader; the page is numbered as the framework does.
PARTS: list[tuple[str, dict[str, Any]]] = [
    ("Figure 1: The cover.", {"page_number": 1, "category": "Image", "image_path": "red.png"}),
    ("", {"page_num": 2, "image_path": "red.png", "parsed_text_markdown": "# A red page"}),
    ("", {"page_number": 3, "filename": "m.pdf", "category": "Image", "image_base64": BLUE}),
    ("Words of a page.", {"page": 4, "page_label": "iv", "source": "/a/m.pdf"}),
    ("Its picture is elsewhere.", {"page_num": 5, "image_path": "/etc/passwd"}),
    ("", {"page_num": 6, "image_path": "/etc/passwd"}),
]
OWN = ("file_name", "kind", "page", "page_label", "label", "caption")


@pytest.fixture
def parsed(tmp_path: Path) -> Path:
    (tmp_path / "parsed").mkdir()
    (tmp_path / "parsed" / "red.png").write_bytes(encoded(solid("red")))
    return tmp_path / "parsed"


def essence(records: list[Record]) -> list[Any]:
    return [
        (
            record.id,
            record.text,
            record.image and record.image.sha256,
            {name: record.metadata.get(name) for name in OWN},
        )
        for record in sorted(records, key=lambda record: record.id)
    ]


def by_langchain(space: SemanticSpace, parsed: Path) -> list[str]:
    told: list[Skipped] = []
    transform = langchain_unisem.ParsedDocuments(parsed, space=space, on_skip=told.append)
    documents = [
        Document(text, id=str(n), metadata=dict(given) | _counted(given, 0))
        for n, (text, given) in enumerate(PARTS)
    ]
    store = langchain_unisem.UniSemVectorStore(space=space)
    store.add_documents(asyncio.run(transform.atransform_documents(documents)))  # type: ignore[arg-type]
    return [skipped.reason for skipped in told]


def by_llama_index(space: SemanticSpace, parsed: Path) -> list[str]:
    nodes = [
        (TextNode if n % 2 else LlamaDocument)(
            text=text, id_=str(n), metadata=dict(given) | _counted(given, 1)
        )
        for n, (text, given) in enumerate(PARTS)
    ]
    embedding = llama_index_unisem.UniSemEmbedding(encoder=space.encoder)
    store = llama_index_unisem.UniSemVectorStore(space=space)
    pipeline = IngestionPipeline(
        transformations=[llama_index_unisem.ParsedDocuments(parsed), embedding],
        vector_store=store,
    )
    pipeline.run(nodes=nodes)
    return []


def _counted(given: dict[str, Any], first: int) -> dict[str, Any]:
    return {"page": given["page"] - 1 + first} if "page" in given else {}


@pytest.mark.parametrize("front", [by_langchain, by_llama_index])
def test_both_fronts_store_the_same(
    parsed: Path, tmp_path: Path, front: Callable[[SemanticSpace, Path], list[str]]
) -> None:
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        told = front(space, parsed)
        stored = [record for record in space.get([str(n) for n in range(6)]) if record]
    found = essence(stored)
    assert [(one[0], one[1], one[2] is not None) for one in found] == [
        ("0", "Figure 1: The cover.", True),
        ("1", "# A red page", True),
        ("2", None, True),
        ("3", "Words of a page.", False),
        ("4", "Its picture is elsewhere.", False),
    ]
    assert [tuple(one[3].values()) for one in found] == [
        (None, "figure", 1, "1", "Figure 1", "Figure 1: The cover."),
        (None, "page", 2, "2", None, None),
        ("m.pdf", "figure", 3, "3", None, None),
        ("m.pdf", "text", 4, "iv", None, None),
        (None, "page", 5, "5", None, None),
    ]
    assert found[0][2] == found[1][2] != found[2][2]
    assert all("lies outside" in reason for reason in told)


def test_bytes_without_a_space_cost_a_document_its_picture_only(parsed: Path) -> None:
    told: list[Skipped] = []
    transform = langchain_unisem.ParsedDocuments(parsed, on_skip=told.append)
    given = [Document("words", metadata={"image_base64": BLUE})]
    (document,) = transform.transform_documents(given)
    assert document.page_content == "words"
    assert ["ParsedDocuments(space=" in skipped.reason for skipped in told] == [True]
    assert transform.transform_documents([document]) == [document]


def test_llama_index_splitters_leave_pictures_whole(parsed: Path) -> None:
    page = LlamaDocument(text="Words. " * 400, metadata={"image_path": "red.png", "page_num": 1})
    text = LlamaDocument(text="Words. " * 400, metadata={"page_num": 2})
    splitter = llama_index_unisem.TextsOnly(SentenceSplitter(chunk_size=100, chunk_overlap=0))
    nodes = splitter(llama_index_unisem.ParsedDocuments(parsed)([page, text]))
    assert [node.metadata["page"] for node in nodes].count(1) == 1
    assert [node.metadata["page"] for node in nodes].count(2) > 3


def test_there_must_be_a_root(tmp_path: Path) -> None:
    for front in (langchain_unisem.ParsedDocuments, llama_index_unisem.ParsedDocuments):
        with pytest.raises(NotADirectoryError, match="is not a folder"):
            front(tmp_path / "none")
