"""Defects of LlamaIndex's own stores and indices, and of its Faiss stores, that ours lack.

Most have their test beside the part that they concern; ``docs/measured/conformance.md`` says
where. Here are the rest.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.indices import MultiModalVectorStoreIndex
from llama_index.core.llms.mock import MockLLM
from llama_index.core.schema import Document, ImageNode, TextNode
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.simple import SimpleVectorStoreData
from llama_index.core.vector_stores.types import (
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from llama_index_unisem import UniSemEmbedding, UniSemIndex, UniSemVectorStore
from tests.support.toy import COLOURS
from unisem.records import EmbeddedRecord

REMEDY = r"Load it with llama_index_unisem\.UniSemVectorStore\.from_persist_dir"


def persisted(folder: Path) -> str:
    """A text index with a `UniSemVectorStore`, persisted as LlamaIndex does it."""
    context = StorageContext.from_defaults(vector_store=UniSemVectorStore())
    context.add_vector_store(UniSemVectorStore(), "image")
    VectorStoreIndex.from_documents(
        [Document(text="hello")], storage_context=context, embed_model=MockEmbedding(embed_dim=4)
    )
    context.vector_stores["image"].add([TextNode(id_="p", text="a picture", embedding=[1.0, 2.0])])
    context.persist(str(folder))
    return str(folder)


@pytest.mark.parametrize(
    "load",
    [
        lambda folder: StorageContext.from_defaults(persist_dir=folder),
        lambda folder: load_index_from_storage(StorageContext.from_defaults(persist_dir=folder)),
        SimpleVectorStore.from_persist_dir,
        SimpleVectorStore.from_namespaced_persist_dir,
        lambda folder: SimpleVectorStore.from_persist_dir(folder, "image"),
        lambda folder: SimpleVectorStore.from_persist_path(f"{folder}/default__vector_store.json"),
        lambda folder: SimpleVectorStore.from_persist_dir(folder, fs=fsspec.filesystem("file")),
    ],
)
def test_a_json_manifest_does_not_load_silently_as_an_empty_store(
    tmp_path: Path, load: Callable[[str], Any]
) -> None:
    """LlamaIndex takes any JSON object for a store of its own (its #17887 and #18422)."""
    empty = tmp_path / "empty.json"
    empty.write_text('{"manifest": 1}')
    assert not SimpleVectorStore.from_persist_path(str(empty)).data.embedding_dict, "the trap"
    with pytest.raises(ValueError, match=REMEDY):
        load(persisted(tmp_path / "storage"))


def test_a_loader_that_checks_nothing_cannot_search_our_manifest_either(tmp_path: Path) -> None:
    """A later loader may convert no numbers; then the first search fails."""
    file = Path(persisted(tmp_path), "default__vector_store.json")
    data = SimpleVectorStoreData(embedding_dict=json.loads(file.read_text())["embedding_dict"])
    with pytest.raises((TypeError, ValueError)):
        SimpleVectorStore(data=data).query(VectorStoreQuery(query_embedding=[1.0]))


@pytest.mark.parametrize("protocol", [None, "file", "memory"])
def test_namespaces_are_loaded_by_one_call(tmp_path: Path, protocol: str | None) -> None:
    """Fixed namespaces; a reload that gives an empty store of pictures."""
    fs = None if protocol is None else fsspec.filesystem(protocol)
    folder = f"{tmp_path}/parent__of__all/stores"
    for name in ("default", "image", "a__b"):
        store = UniSemVectorStore()
        store.add([TextNode(id_=name, text=name, embedding=[1.0, 2.0])])
        store.persist(f"{folder}/{name}__vector_store.json", fs)
    found = UniSemVectorStore.from_namespaced_persist_dir(folder, fs)
    assert {
        name: [node.node_id for node in store.get_nodes()] for name, store in found.items()
    } == {
        "default": ["default"],
        "image": ["image"],
        "a__b": ["a__b"],
    }
    for store in found.values():
        assert isinstance(store, UniSemVectorStore)
        store.close()


def test_a_storage_context_takes_all_namespaces(tmp_path: Path) -> None:
    """Reloaded with one vector store only, a two-store index has no pictures."""
    folder = persisted(tmp_path / "storage")
    stores = UniSemVectorStore.from_namespaced_persist_dir(folder)
    context = StorageContext.from_defaults(persist_dir=folder, vector_stores=stores)
    assert context.vector_store is stores["default"]
    image_store = context.vector_stores["image"]
    assert [node.node_id for node in image_store.get_nodes()] == ["p"]


def test_a_directory_without_stores_or_with_anothers_is_named(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ValueError, match="no UniSemVectorStore in"):
            UniSemVectorStore.from_namespaced_persist_dir(str(folder))
    SimpleVectorStore().persist(f"{tmp_path}/default__vector_store.json")
    with pytest.raises(ValueError, match="not written by UniSemVectorStore"):
        UniSemVectorStore.from_namespaced_persist_dir(str(tmp_path))


@pytest.mark.parametrize(
    ("field", "options", "expected"),
    [
        (0.0, {}, "ac"),
        (0.25, {}, "ac"),
        (1.0, {}, "ab"),
        (None, {}, "ab"),
        (None, {"mmr_threshold": 0.0}, "ac"),
        (None, {"mmr_threshold": 1.0}, "ab"),
        (1.0, {"mmr_threshold": 0.0}, "ac"),
        (0.0, {"mmr_threshold": 1.0}, "ab"),
        (0.0, {"mmr_threshold": None}, "ab"),
    ],
)
def test_mmr_threshold_of_the_query_is_not_ignored(
    field: float | None, options: dict[str, Any], expected: str
) -> None:
    """LlamaIndex 0.14.25 looks at the keyword only."""
    store = UniSemVectorStore()
    vectors = {"a": [1.0, 0.0], "b": [1.0, 0.0], "c": [0.0, 1.0]}
    store.add([TextNode(id_=name, embedding=vector) for name, vector in vectors.items()])
    query = VectorStoreQuery(
        query_embedding=[1.0, 0.0],
        similarity_top_k=2,
        mode=VectorStoreQueryMode.MMR,
        mmr_threshold=field,
    )
    assert store.query(query, **options).ids == list(expected)


def many(count: int) -> list[TextNode]:
    rows = np.random.default_rng(0).standard_normal((count, 8)).tolist()
    return [TextNode(id_=f"{n:05}", text=str(n), embedding=row) for n, row in enumerate(rows)]


def test_a_query_that_carries_all_node_ids_finds_what_one_without_finds() -> None:
    """An index that keeps the texts itself passes the ids of all its nodes."""
    store = UniSemVectorStore()
    store.add(many(3000))
    everything = [node.node_id for node in store.get_nodes()]
    for top_k in (1, 50, 5000):
        plain = VectorStoreQuery(query_embedding=[1.0] * 8, similarity_top_k=top_k)
        listed = VectorStoreQuery(
            query_embedding=[1.0] * 8, similarity_top_k=top_k, node_ids=everything
        )
        assert store.query(listed) == store.query(plain)


def test_a_bad_node_among_good_ones_leaves_nothing_half_added() -> None:
    """A row-by-row add stops in the middle."""
    store = UniSemVectorStore()
    store.add([TextNode(id_="old", text="old", embedding=[1.0, 0.0])])
    good = [TextNode(id_=f"n{n}", text="new", embedding=[0.0, 1.0]) for n in range(3)]
    for bad in (
        TextNode(id_="bad", embedding=[1.0, 2.0, 3.0]),
        TextNode(id_="bad", embedding=None),
        TextNode(id_="bad", embedding=[1.0, 0.0], metadata={"key": object()}),
    ):
        with pytest.raises(Exception, match=r"bad|dimension"):
            store.add([*good, bad])
        assert [node.node_id for node in store.get_nodes()] == ["old"]


def test_one_call_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faiss is given row by row."""
    store = UniSemVectorStore()
    calls: list[int] = []
    plain = store.client.add

    def counted(items: Sequence[EmbeddedRecord]) -> None:
        calls.append(len(items))
        plain(items)

    monkeypatch.setattr(store.client, "add", counted)
    store.add(many(100))
    assert calls == [100]


def card_nodes(folder: Path) -> list[ImageNode]:
    return [
        ImageNode(
            id_=colour,
            text=f"a {colour} card",
            image_path=str(folder / f"{colour}.png"),
            metadata={"warm": int(colour in ("red", "yellow"))},
        )
        for colour in COLOURS
    ]


@pytest.fixture
def index(cards: Path, embedding: UniSemEmbedding) -> UniSemIndex:
    return UniSemIndex(
        [*card_nodes(cards), TextNode(id_="about", text="about red cards", metadata={"warm": 1})],
        embed_model=embedding,
    )


def test_as_retriever_takes_node_ids_none(index: UniSemIndex) -> None:
    """LlamaIndex's own raises a TypeError for ``node_ids=None``."""
    stock = VectorStoreIndex.from_vector_store(
        UniSemVectorStore(), embed_model=MockEmbedding(embed_dim=4)
    )
    with pytest.raises(TypeError, match="node_ids"):
        stock.as_retriever(node_ids=None)
    found = index.as_retriever(node_ids=None, similarity_top_k=9).retrieve("red")
    assert len(found) == 7
    only = index.as_retriever(node_ids=["blue", "about"], similarity_top_k=9).retrieve("red")
    assert {node.node_id for node in only} == {"blue", "about"}


def test_as_query_engine_does_not_judge_a_model_by_the_name_of_its_class(
    index: UniSemIndex, caplog: pytest.LogCaptureFixture, embedding: UniSemEmbedding
) -> None:
    """LlamaIndex warns unless the class is called something with "multi"."""
    with caplog.at_level(logging.WARNING):
        index.as_query_engine(llm=MockLLM())
    assert not caplog.records
    two = UniSemVectorStore()
    context = StorageContext.from_defaults(vector_store=two.view("text"))
    context.add_vector_store(two.view("image"), "image")
    stock = MultiModalVectorStoreIndex(
        [], storage_context=context, embed_model=embedding, image_embed_model=embedding
    )
    with caplog.at_level(logging.WARNING), pytest.deprecated_call():
        stock.as_query_engine(llm=MockLLM())
    assert "does not appear to be a multi-modal LLM" in caplog.text, "the trap"


@pytest.mark.parametrize("modality", ["text", "image", None])
def test_filters_hold_for_pictures_and_for_texts(index: UniSemIndex, modality: Any) -> None:
    """Filters fail on a multi-modal index, or are shared by its halves."""
    warm = MetadataFilters(filters=[MetadataFilter(key="warm", value=1)])
    retriever = index.as_retriever(filters=warm, modality=modality, similarity_top_k=9)
    expected = {"text": {"about"}, "image": {"red", "yellow"}, None: {"about", "red", "yellow"}}
    assert {node.node_id for node in retriever.retrieve("blue")} == expected[modality]


@pytest.mark.parametrize("match", ["any", "text", "image"])
def test_get_nodes_gives_what_another_store_can_take(
    cards: Path, embedding: UniSemEmbedding, match: Any
) -> None:
    """Outside engines' tests expect embeddings; without them nothing can be moved."""
    store = UniSemVectorStore()
    nodes = embedding(card_nodes(cards))
    store.add(nodes)
    view = store if match == "any" else store.view(match)
    taken = view.get_nodes()
    for node, got in zip(nodes, taken, strict=True):
        assert isinstance(node, ImageNode)
        vector = node.text_embedding if match == "text" else node.embedding
        np.testing.assert_allclose(got.embedding, vector, atol=1e-6)
    moved = UniSemVectorStore()
    moved.add(taken)
    query = VectorStoreQuery(
        query_embedding=embedding.get_query_embedding("red"), similarity_top_k=9
    )
    if match == "any":
        found, expected = moved.query(query), store.query(query)
        assert found.ids == expected.ids
        assert found.similarities == pytest.approx(expected.similarities, abs=1e-6)


def test_prefetch_of_mmr_is_said_once() -> None:
    """As in LlamaIndex's other stores, two sizes are an error and not a choice."""
    store = UniSemVectorStore()
    store.add(many(3))
    query = VectorStoreQuery(query_embedding=[1.0] * 8, mode=VectorStoreQueryMode.MMR)
    with pytest.raises(ValueError, match="not both"):
        store.query(query, mmr_prefetch_k=16, mmr_prefetch_factor=2.0)
