"""Both frameworks show the pictures of a space elsewhere as they show those of one here."""

from __future__ import annotations

import copy
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from llama_index.core.base.llms.types import ImageBlock
from llama_index.core.schema import ImageNode, MetadataMode, TextNode

import langchain_unisem
import llama_index_unisem
from llama_index_unisem import UniSemEmbedding, UniSemRetrieverTool
from tests.remote.conftest import cards
from unisem import SemanticSpace


def test_langchain_shows_them(far: SemanticSpace, near: SemanticSpace, folder: Path) -> None:
    far.add(cards(folder))
    shown = []
    for space in (near, far):
        found = langchain_unisem.UniSemRetriever(space=space, k=9).invoke("a red card")
        shown.append(langchain_unisem.format_documents(found, space=space))
    assert shown[0] == shown[1]
    assert sum(block["type"] == "image" for block in shown[1]) == 4


def test_llama_index_shows_them(far: SemanticSpace, near: SemanticSpace, folder: Path) -> None:
    far.add(cards(folder))
    shown, blocks = [], []
    for space in (near, far):
        retriever = llama_index_unisem.UniSemRetriever(space, similarity_top_k=9)
        nodes = [it.node for it in retriever.retrieve("a red card")]
        assert sum(isinstance(node, ImageNode) for node in nodes) == 4
        shown.append([repr(node.get_content_blocks(MetadataMode.LLM)) for node in nodes])
        read = [node.resolve_image().read() for node in nodes if isinstance(node, ImageNode)]  # type: ignore[union-attr]
        output = UniSemRetrieverTool(retriever).call(query="a red card")
        images = [it for it in output.blocks if isinstance(it, ImageBlock)]
        blocks.append((read, [it.resolve_image().read() for it in images]))
    assert shown[0] == shown[1]
    assert blocks[0] == blocks[1]
    assert len(blocks[0][1]) == 4


def test_a_copy_of_a_node_says_that_its_picture_is_not_here(
    far: SemanticSpace, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    far.add(cards(folder))
    retriever = llama_index_unisem.UniSemRetriever(far, similarity_top_k=1)
    node: Any = retriever.retrieve("a red card")[0].node
    assert copy.deepcopy(node).resolve_image().read() == (folder / "red.png").read_bytes()
    caplog.set_level(logging.ERROR)
    for other in (type(node).from_dict(node.to_dict()), pickle.loads(pickle.dumps(node))):
        assert "has no image_path" in str(other.get_content_blocks(MetadataMode.LLM))


def test_what_adapters_add_is_there(far: SemanticSpace, near: SemanticSpace, folder: Path) -> None:
    store = langchain_unisem.UniSemVectorStore(space=far)
    store.add_documents([Document("a teapot", id="t", metadata={"n": 1})])
    store.add_images([folder / "red.png"], captions=["a red card"], ids=["p"])
    node = TextNode(id_="n", text="a tiger")
    node.embedding = UniSemEmbedding(encoder=far.encoder).get_text_embedding("a tiger")
    vectors = llama_index_unisem.UniSemVectorStore(space=far)
    vectors.add([node])
    assert [record.id for record in near.store.select()] == ["t", "p", "n"]
    (document,) = store.get_by_ids(["p"])
    document.page_content = "a crimson card"
    store.add_documents([document])  # by reference to the picture that is there
    assert near.search("crimson", k=1)[0].record.id == "p"
    assert vectors.get_nodes(["n"])[0].get_content(MetadataMode.NONE) == "a tiger"
    assert store.delete(["t", "p"])
    vectors.delete_nodes(["n"])
    assert len(near) == 0
