"""A `UniSemVectorStore` in memory: pickled, let go of, and given what is no list of nodes."""

from __future__ import annotations

import base64
import copy
import gc
import pickle
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.schema import ImageNode, TextNode
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import VectorStoreQuery

from llama_index_unisem import UniSemEmbedding, UniSemIndex, UniSemVectorStore
from llama_index_unisem.indices.stored_nodes import UniSemIndexStruct
from tests.support.pictures import encoded, solid
from unisem.errors import StoreError


@pytest.fixture
def store() -> UniSemVectorStore:
    store = UniSemVectorStore()
    store.add([TextNode(id_="a", text="a", embedding=[1, 0])])
    return store


def nearest(store: UniSemVectorStore, vector: list[float], k: int) -> list[str] | None:
    return store.query(VectorStoreQuery(query_embedding=vector, similarity_top_k=k)).ids


def test_a_store_in_memory_is_pickled_with_all_that_it_holds() -> None:
    store = UniSemVectorStore()
    caption = [0.0, 2.0]
    inline = base64.b64encode(encoded(solid("red"))).decode()
    nodes = [
        TextNode(id_="text", text="a tiger", embedding=[0.6, 0.8], metadata={"tags": ["a", None]}),
        ImageNode(id_="inline", image=inline, embedding=[1, 0], text_embedding=caption),
        ImageNode(id_="path", image_path="gone.png", embedding=[0.8, 0.6]),
    ]
    store.add(nodes)
    saved = pickle.dumps(store)
    kept, expected = store.get_nodes(), nearest(store, [1, 0], 3)
    store.clear()
    twin = pickle.loads(saved)
    assert [node.to_dict() for node in twin.get_nodes()] == [node.to_dict() for node in kept]
    assert kept[1].image == inline
    assert kept[1].text_embedding == caption
    assert nearest(twin, [1, 0], 3) == expected == ["inline", "path", "text"]
    assert nearest(twin.view("text"), [0, 1], 1) == ["inline"]
    assert len(store.client) == 0, "the two are two stores"
    assert len(pickle.loads(pickle.dumps(store)).client) == 0
    with pytest.raises(StoreError, match="dimension"):
        twin.add([TextNode(text="x", embedding=[1.0, 0, 0])])


def test_a_cleared_store_takes_vectors_of_another_model(tmp_path: Path) -> None:
    """As LlamaIndex's own does, which is the oracle."""
    kept = UniSemVectorStore(path=tmp_path / "kept")
    for store in (SimpleVectorStore(), UniSemVectorStore(), kept):
        store.add([TextNode(id_="a", text="a", embedding=[1.0, 0.0])])
        store.clear()
        store.add([TextNode(id_="b", text="b", embedding=[1.0, 0.0, 0.0])])
        query = VectorStoreQuery(query_embedding=[1.0, 0.0, 0.0], similarity_top_k=9)
        assert store.query(query).ids == ["b"]
    for store in (pickle.loads(pickle.dumps(kept)), UniSemVectorStore(path=tmp_path / "kept")):
        assert nearest(store, [1.0, 0.0, 0.0], 9) == ["b"]


class NamedStore(UniSemVectorStore):
    """A user's own, with another constructor, which leaves the texts to the docstore."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.stores_text = False


def test_a_subclass_with_another_constructor_is_copied() -> None:
    store = NamedStore("mine")
    store.add([TextNode(id_="a", text="a", embedding=[1, 0])])
    for twin in (pickle.loads(pickle.dumps(store)), copy.deepcopy(store), store.view("text")):
        assert type(twin) is NamedStore
        assert not twin.stores_text
        assert nearest(twin, [1, 0], 1) == ["a"]


def test_a_store_in_memory_leaves_no_files_and_no_warning() -> None:
    gc.collect()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        store = UniSemVectorStore()
        inline = base64.b64encode(encoded(solid("red"))).decode()
        store.add([ImageNode(id_="a", image=inline, embedding=[1, 0])])
        (record,) = store.client.get(["a"])
        assert record is not None
        assert record.image is not None
        place = record.image.path
        assert place is not None
        assert place.is_file()
        del store
        for _ in range(200):  # a thread that is about to end may still hold it
            gc.collect()
            if not place.exists():
                break
            time.sleep(0.05)
    assert not place.exists()
    assert not [warning for warning in warned if "TemporaryDirectory" in str(warning.message)]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (TextNode(text="x", embedding=[1, 0]), "a list of nodes, not one TextNode"),
        ("ab", "a list of nodes, not one str"),
        (["a tiger"], "expected a LlamaIndex TextNode or Node, not str"),
        ([None], "not NoneType"),
    ],
)
def test_what_is_no_list_of_nodes_is_named(
    store: UniSemVectorStore, embedding: UniSemEmbedding, nodes: Any, message: str
) -> None:
    before = len(store.client)
    with pytest.raises(TypeError, match=message):
        store.add(nodes)
    with pytest.raises(TypeError, match=message):
        UniSemIndex.from_vector_store(store, embed_model=embedding)._add_nodes_to_index(
            UniSemIndexStruct(), nodes
        )
    assert len(store.client) == before
    assert store.add(node for node in [TextNode(id_="new", embedding=[1, 0])]) == ["new"]  # type: ignore[arg-type]
