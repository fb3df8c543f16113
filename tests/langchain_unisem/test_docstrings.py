"""The examples in the public classes' docstrings run as they are written."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import textwrap
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.document_loaders import Blob, BlobLoader
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnablePassthrough

import langchain_unisem
from langchain_unisem.middleware import ImageMiddleware
from tests.support.captioners import ColourCaptioner
from tests.support.length_reranker import LengthReranker
from tests.support.manuals import manual
from tests.support.pictures import colour_folder, solid
from tests.support.text_embeddings import WordEmbeddings
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace

PUBLIC = [getattr(langchain_unisem, name) for name in langchain_unisem.__all__]
CLASSES = [ImageMiddleware, *(item for item in PUBLIC if inspect.isclass(item))]
BY_DOCTEST = (langchain_unisem.ImageQuery, langchain_unisem.UniSemTranslator)
FENCED = [item for item in CLASSES if item not in BY_DOCTEST]


class OneBlob(BlobLoader):
    """Finds ``query.jpg``."""

    def yield_blobs(self) -> Iterator[Blob]:
        yield Blob.from_path("query.jpg")


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the examples take for granted: a space, its retriever, models, files, imports."""
    monkeypatch.chdir(tmp_path)
    for module in ("unisem.space_parts", "langchain_unisem.embeddings.unisem"):
        monkeypatch.setattr(f"{module}.load_encoder", lambda name, **options: ToyEncoder())
    monkeypatch.setattr("unisem.rerank.load_reranker", lambda name, **options: LengthReranker())
    captioner = ColourCaptioner()
    home = "langchain_unisem.caption_images"
    monkeypatch.setattr(f"{home}.load_captioner", lambda name, **options: captioner)
    colour_folder(tmp_path / "photos")
    (tmp_path / "manuals").mkdir()
    (tmp_path / "parsed").mkdir()
    (tmp_path / "manuals" / "machine.pdf").write_bytes(manual())
    picture = solid("red", (20, 20))
    for name in ("photos/tiger.jpg", "tiger.jpg", "query.jpg"):
        picture.save(tmp_path / name)
    picture.save(data := BytesIO(), "PNG")
    with SemanticSpace.open("photos.unisem") as space:
        space.add_folder("photos/")
        retriever = langchain_unisem.UniSemRetriever(space=space, k=2)
        yield {
            **{item.__name__: item for item in CLASSES},
            "ChatPromptTemplate": ChatPromptTemplate,
            "Document": Document,
            "MessagesPlaceholder": MessagesPlaceholder,
            "RunnablePassthrough": RunnablePassthrough,
            "create_agent": create_agent,
            "blob_loader": OneBlob(),
            "data": data.getvalue(),
            "documents": retriever.invoke("a red card"),
            "embeddings": WordEmbeddings(),
            "image_bytes": data.getvalue(),
            "loader": langchain_unisem.ImageFolderLoader("photos/"),
            "llm": FakeListChatModel(responses=["[1]"]),
            "model": FakeListChatModel(responses=["[1]"]),
            "pil_image": picture,
            "prompt": langchain_unisem.MultimodalPrompt(space=space),
            "retriever": retriever,
            "space": space,
            "store": langchain_unisem.UniSemVectorStore(space=space),
            "tool": langchain_unisem.UniSemRetrievalTool(retriever=retriever),
        }


@pytest.mark.parametrize("described", FENCED, ids=lambda item: item.__name__)
def test_examples_run(described: type, names: dict[str, Any]) -> None:
    text = inspect.getdoc(described) or ""
    assert "Setup:" in text
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    assert described.__name__ in blocks[0]
    for block in map(textwrap.dedent, blocks):
        code = compile(block, described.__name__, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(eval(code, names))
        else:
            exec(code, names)
    if "chain" in names:
        assert names["chain"].invoke("a red card")
