"""`UniSemVectorStore`: adding, deleting, views, threads, copies, and what it does not do."""

from __future__ import annotations

import asyncio
import copy
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.schema import (
    Document,
    ImageNode,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)

from llama_index_unisem import UniSemVectorStore
from unisem import SemanticSpace
from unisem.errors import CorruptStoreError, FilterError, StoreError
from unisem.filters import And


def text(name: str, vector: list[float], source: str | None = None, **metadata: Any) -> TextNode:
    related = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=source)} if source else {}
    return TextNode(
        id_=name, text=f"text {name}", embedding=vector, metadata=metadata, relationships=related
    )


def nearest(store: UniSemVectorStore, vector: list[float], k: int = 10) -> list[str]:
    ids = store.query(VectorStoreQuery(query_embedding=vector, similarity_top_k=k)).ids
    assert ids is not None
    return ids


def where(**wanted: Any) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=k, value=v) for k, v in wanted.items()])


@pytest.fixture
def store() -> UniSemVectorStore:
    made = UniSemVectorStore()
    made.add(
        [
            text("a", [1, 0], "one", year=2020),
            text("b", [0.8, 0.6], "one", year=2021),
            text("c", [0, 1], "two", year=2020),
            text("d", [-1, 0], year=2021),
        ]
    )
    return made


def test_class() -> None:
    store = UniSemVectorStore()
    assert isinstance(store, BasePydanticVectorStore)
    assert (store.stores_text, store.is_embedding_query) == (True, True)
    assert UniSemVectorStore.class_name() == "UniSemVectorStore"
    assert bool(store), "storage contexts replace a store that is false"


# What FaissVectorStore and FaissMapVectorStore get wrong.


def test_ids_are_node_ids(store: UniSemVectorStore) -> None:
    assert store.add([text("z", [0, -1]), text("y", [0, -1])]) == ["z", "y"]
    assert nearest(store, [0, -1], 2) == ["y", "z"]
    assert store.add([]) == []


def test_delete_then_add_does_not_collide(store: UniSemVectorStore) -> None:
    store.delete_nodes(["a"])
    store.add([text("e", [0.6, 0.8])])
    assert nearest(store, [0, 1], 1) == ["c"]
    assert nearest(store, [1, 0]) == ["b", "e", "c", "d"]


def test_adding_an_id_again_replaces_it_and_leaves_no_orphan(store: UniSemVectorStore) -> None:
    store.add([text("a", [0, -1], "three", year=1999)])
    assert len(nearest(store, [0, -1])) == 4
    assert nearest(store, [0, -1], 1) == ["a"]
    store.delete("one")
    assert nearest(store, [1, 0]) == ["a", "c", "d"], "a is no longer of document one"
    store.delete("three")
    assert nearest(store, [1, 0]) == ["c", "d"]
    store.add([text("x", [1, 0], n=1), text("x", [0, 1], n=2)])
    assert [node.metadata for node in store.get_nodes(["x"])] == [{"n": 2}], "the last one counts"


def test_similarities_are_cosines_higher_is_better(store: UniSemVectorStore) -> None:
    found = store.query(VectorStoreQuery(query_embedding=[5.0, 0.0], similarity_top_k=4))
    assert found.ids == ["a", "b", "c", "d"]
    assert found.similarities == pytest.approx([1.0, 0.8, 0.0, -1.0])
    assert all(type(score) is float for score in found.similarities or [])


def test_delete_is_by_document(store: UniSemVectorStore) -> None:
    store.delete("a")
    store.delete("unknown")
    assert nearest(store, [1, 0]) == ["a", "b", "c", "d"], "a is a node, not a document"
    store.delete("one")
    assert nearest(store, [1, 0]) == ["c", "d"]


def test_a_document_stored_whole_is_its_own(store: UniSemVectorStore) -> None:
    """A pipeline without a splitter deletes by the document's own id."""
    store.add([Document(id_="whole", text="w", embedding=[1, 0])])
    store.delete("whole")
    assert store.get_nodes(["whole"]) == []


def test_delete_nodes(store: UniSemVectorStore) -> None:
    store.delete_nodes()
    store.delete_nodes(None, None)
    store.delete_nodes([])
    store.delete_nodes([], where(year=2020))
    store.delete_nodes(filters=MetadataFilters(filters=[]))
    store.delete_nodes(["unknown"])
    empty = MetadataFilters(filters=[MetadataFilters(filters=[])])
    either = MetadataFilters(
        filters=[*where(year=2020).filters, MetadataFilters(filters=[])], condition="or"
    )
    for always in (empty, either, And(())):
        with pytest.raises(FilterError, match=r"clear\(\)"):
            store.delete_nodes(filters=always)
    assert len(store.get_nodes()) == 4, "none of these empties a store"
    store.delete_nodes(["a", "b"], where(year=2021))
    assert nearest(store, [1, 0]) == ["a", "c", "d"]
    store.delete_nodes(filters=where(year=2020))
    assert nearest(store, [1, 0]) == ["d"]
    with pytest.raises(TypeError, match="a list of ids"):
        store.delete_nodes("d")  # type: ignore[arg-type]


def test_get_nodes(store: UniSemVectorStore) -> None:
    def ids(*arguments: Any) -> list[str]:
        return [node.node_id for node in store.get_nodes(*arguments)]

    assert ids() == ["a", "b", "c", "d"]
    assert ids(["d", "unknown", "a", "d"]) == ["d", "a"]
    assert ids([]) == []
    assert ids(["d", "b", "a"], where(year=2021)) == ["d", "b"]
    assert ids(None, where(year=2020)) == ["a", "c"]


def test_clear(store: UniSemVectorStore) -> None:
    store.clear()
    assert store.get_nodes() == []
    store.add([text("a", [1, 0])])
    assert nearest(store, [1, 0]) == ["a"]


async def test_async_twins_do_not_block_and_keep_their_arguments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[str, tuple[Any, ...]] = {}
    names = {
        "add": "async_add", "delete": "adelete", "delete_nodes": "adelete_nodes",
        "clear": "aclear", "get_nodes": "aget_nodes", "query": "aquery",
    }  # fmt: skip

    def spy(name: str) -> Any:
        def called(self: Any, *arguments: Any, **kwargs: Any) -> str:
            seen[name] = (threading.current_thread(), arguments, kwargs)
            return name

        return called

    for name in names:
        monkeypatch.setattr(UniSemVectorStore, name, spy(name))
    store = UniSemVectorStore()
    query = VectorStoreQuery(query_embedding=[1.0])
    assert await store.async_add([], some="x") == "add"
    await store.adelete("doc", some="x")
    await store.adelete_nodes(["a"], where(year=1), some="x")
    await store.aclear()
    assert await store.aget_nodes(["a"], where(year=1)) == "get_nodes"  # type: ignore[comparison-overlap]
    assert await store.aquery(query, mmr_threshold=0.1) == "query"  # type: ignore[comparison-overlap]
    assert all(thread is not threading.main_thread() for thread, _, _ in seen.values())
    assert {name: called[1:] for name, called in seen.items()} == {
        "add": (([],), {"some": "x"}),
        "delete": (("doc",), {"some": "x"}),
        "delete_nodes": ((["a"], where(year=1)), {"some": "x"}),
        "clear": ((), {}),
        "get_nodes": ((["a"], where(year=1)), {}),
        "query": ((query,), {"mmr_threshold": 0.1}),
    }


async def test_async_parity(store: UniSemVectorStore) -> None:
    twin = UniSemVectorStore()
    assert await twin.async_add([text("z", [1, 0], "doc", year=1)]) == ["z"]
    await twin.async_add([text("y", [0, 1], "other", year=2), text("x", [0, 1], year=3)])
    await twin.adelete("doc")
    await twin.adelete_nodes(filters=where(year=3))
    assert [node.node_id for node in await twin.aget_nodes()] == ["y"]
    query = VectorStoreQuery(query_embedding=[0, 1], similarity_top_k=1)
    assert (await twin.aquery(query)).ids == ["y"]
    await twin.aclear()
    assert (await twin.aquery(query)).ids == []


def test_threads(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((8, 20, 8))
    with UniSemVectorStore(tmp_path / "v.unisem") as store:

        def work(number: int) -> None:
            for step in range(20):
                name = f"{number}-{step}"
                store.add([text(name, vectors[number, step].tolist(), f"doc{number}")])
                assert nearest(store, vectors[number, step].tolist(), 1) == [name]
                if step % 2:
                    store.delete_nodes([name])

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        found = nearest(store, vectors[0, 0].tolist(), 1000)
        assert sorted(found) == sorted(f"{n}-{step}" for n in range(8) for step in range(0, 20, 2))


async def test_many_at_once_in_one_event_loop(store: UniSemVectorStore) -> None:
    await asyncio.gather(
        *(store.async_add([text(f"n{n}", [1, n / 10])]) for n in range(20)),
        *(store.aquery(VectorStoreQuery(query_embedding=[1, 0])) for _ in range(20)),
    )
    assert len(store.get_nodes()) == 24


# -- views ------------------------------------------------------------------------------------


def test_views_keep_the_two_vectors_of_one_node_apart() -> None:
    """One raw store given twice lets one vector overwrite the other."""
    store = UniSemVectorStore()
    words, looks = store.view("text"), store.view("image")
    words.add([ImageNode(id_="p", text="cap", image_path="p.png", embedding=[1, 0])])
    words.add([text("t", [0.8, 0.6])])
    looks.add([ImageNode(id_="p", text="cap", image_path="p.png", embedding=[0, 1])])
    assert nearest(words, [1, 0]) == ["p", "t"]
    assert nearest(looks, [1, 0]) == ["p"]
    for view, vector in [(words, [1, 0]), (looks, [0, 1]), (store, [1, 0]), (store, [0, 1])]:
        found = view.query(VectorStoreQuery(query_embedding=vector, similarity_top_k=1))
        assert (found.ids, found.similarities) == (["p"], pytest.approx([1.0]))
    words.add([ImageNode(id_="p", text="other", image_path="p.png", embedding=[0, -1])])
    assert nearest(looks, [0, 1]) == [], "the node has changed, so that vector was another's"
    words.delete_nodes(["p"])
    assert nearest(store, [1, 0]) == ["t"]


# -- directories, copies ----------------------------------------------------------------------


def test_a_directory_is_durable_and_shared_in_one_process(tmp_path: Path) -> None:
    path = tmp_path / "v.unisem"
    first, second = UniSemVectorStore(path), UniSemVectorStore(str(path))
    first.add([text("a", [1, 0])])
    second.add([text("b", [0, 1])])
    first.close()
    second.add([text("c", [0, 1])])
    second.close()
    second.close()
    with pytest.raises(StoreError, match="closed"):
        second.get_nodes()
    with UniSemVectorStore(path) as third:
        assert nearest(third, [1, 0]) == ["a", "b", "c"]


def test_what_was_added_survives_a_kill(tmp_path: Path) -> None:
    program = (
        "import os; from llama_index.core.schema import TextNode\n"
        "from llama_index_unisem import UniSemVectorStore\n"
        f"store = UniSemVectorStore({str(tmp_path / 'v.unisem')!r})\n"
        "store.add([TextNode(id_='a', text='a', embedding=[1.0, 0.0])])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    with UniSemVectorStore(tmp_path / "v.unisem") as store:
        assert nearest(store, [1, 0]) == ["a"]


def test_pickle_and_dict_of_a_store_with_a_path(tmp_path: Path) -> None:
    with UniSemVectorStore(tmp_path / "v.unisem", image_roots=[tmp_path]) as store:
        store.add([text("a", [1, 0])])
        view = store.view("text")
        for again in (
            pickle.loads(pickle.dumps(view)),
            UniSemVectorStore.from_dict(view.to_dict()),
            UniSemVectorStore.from_json(view.to_json()),
            copy.deepcopy(view),
            view.model_copy(),
        ):
            assert (again.path, again.match, again.image_roots) == (
                str(tmp_path / "v.unisem"), "text", [str(tmp_path)],
            )  # fmt: skip
            again.add([text("b", [0, 1])])
            assert nearest(store, [1, 0]) == ["a", "b"]
            store.delete_nodes(["b"])
    again.close()


def test_a_store_without_a_directory_is_not_made_anew_as_an_empty_one(
    store: UniSemVectorStore, space: SemanticSpace
) -> None:
    with pytest.raises(TypeError, match="no directory of its own"):
        pickle.dumps(UniSemVectorStore(space=space))
    for other in (store, UniSemVectorStore(space=space)):
        with pytest.raises(ValueError, match="no directory of its own"):
            UniSemVectorStore.from_dict(other.to_dict())
    assert nearest(copy.deepcopy(store), [1, 0], 1) == ["a"]


def test_closing_a_shared_store_leaves_the_space_open(space: SemanticSpace) -> None:
    with UniSemVectorStore(space=space):
        pass
    assert len(space) == 0


def test_directories_that_are_no_stores_are_refused(tmp_path: Path, space: SemanticSpace) -> None:
    assert space.path is not None
    with pytest.raises(CorruptStoreError, match=r"UniSemVectorStore\(space="):
        UniSemVectorStore(space.path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "holiday.txt").write_text("x")
    with pytest.raises(CorruptStoreError, match=r"holiday\.txt"):
        UniSemVectorStore(tmp_path / "other")
    with pytest.raises(NotADirectoryError):
        UniSemVectorStore(tmp_path / "other" / "holiday.txt")


def test_a_misspelt_restriction_is_not_swallowed() -> None:
    store = UniSemVectorStore()
    query = VectorStoreQuery(query_embedding=[1.0])
    for call in (
        lambda: store.query(query, filter=None),
        lambda: store.delete_nodes(["a"], filter=None),
        lambda: store.delete("a", filter=None),
        lambda: store.add([], modality="text"),
    ):
        with pytest.raises(TypeError, match=r"knows no (filter|modality)"):
            call()
