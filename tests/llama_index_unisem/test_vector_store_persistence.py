"""Persisting `UniSemVectorStore`, by itself and through a `StorageContext`."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from llama_index.core import (
    MockEmbedding,
    StorageContext,
    VectorStoreIndex,
    load_index_from_storage,
)
from llama_index.core.schema import Document, ImageNode, TextNode
from llama_index.core.vector_stores.simple import SimpleVectorStore

from llama_index_unisem import UniSemVectorStore
from tests.support.pictures import encoded, noise
from unisem.errors import CorruptStoreError, StoreLockedError

PICTURE = base64.b64encode(encoded(noise(3))).decode()


@pytest.fixture
def store(tmp_path: Path) -> UniSemVectorStore:
    made = UniSemVectorStore()
    made.add(
        [
            TextNode(id_="a", text="a tiger", embedding=[1, 0], metadata={"year": 2024}),
            ImageNode(id_="b", text="b", image=PICTURE, embedding=[0, 2], text_embedding=[1, 1]),
        ]
    )
    return made


def same(one: UniSemVectorStore, other: UniSemVectorStore) -> bool:
    ids = [node.node_id for node in one.get_nodes()]
    vectors = [
        [
            {kind: rows.tolist() for kind, rows in (kinds or {}).items()}
            for kinds in s.client.vectors(ids)
        ]
        for s in (one, other)
    ]
    return one.get_nodes() == other.get_nodes() and vectors[0] == vectors[1]


@pytest.fixture
def memory() -> Any:
    files = MemoryFileSystem()
    files.store.clear()
    yield files
    files.store.clear()


@pytest.mark.parametrize("kind", ["none", "local", "memory"])
def test_round_trip(store: UniSemVectorStore, tmp_path: Path, kind: str, memory: Any) -> None:
    fs = {"none": None, "local": LocalFileSystem(), "memory": memory}[kind]
    folder = "/kept/here" if kind == "memory" else str(tmp_path / "kept" / "here")
    path = f"{folder}/default__vector_store.json"
    store.persist(persist_path=path, fs=fs)
    store.add([TextNode(id_="c", text="c", embedding=[1, 1])])
    loaded = UniSemVectorStore.from_persist_path(path, fs=fs)
    assert [node.node_id for node in loaded.get_nodes()] == ["a", "b"], "a copy"
    loaded.close()
    store.persist(persist_path=path, fs=fs)
    for again in (
        UniSemVectorStore.from_persist_path(path, fs=fs),
        UniSemVectorStore.from_persist_dir(folder, fs=fs),
    ):
        assert same(store, again)
        again.close()
    shutil.rmtree(tmp_path / "kept", ignore_errors=True)
    assert len(store.get_nodes()) == 3


def test_a_loaded_store_writes_in_place(store: UniSemVectorStore, tmp_path: Path) -> None:
    store.persist(str(tmp_path / "default__vector_store.json"))
    with UniSemVectorStore.from_persist_dir(str(tmp_path)) as loaded:
        loaded.add([TextNode(id_="c", text="c", embedding=[1, 1])])
        loaded.persist(str(tmp_path / "default__vector_store.json"))
    with UniSemVectorStore.from_persist_dir(str(tmp_path)) as again:
        assert len(again.get_nodes()) == 3
    assert len(list(tmp_path.iterdir())) == 2, "nothing is left over"


def test_a_store_of_a_remote_file_system_is_persisted_back(
    store: UniSemVectorStore, memory: Any
) -> None:
    store.persist("/kept/x.json", fs=memory)
    with UniSemVectorStore.from_persist_path("/kept/x.json", fs=memory) as loaded:
        loaded.add([TextNode(id_="c", text="c", embedding=[1, 1])])
        loaded.persist("/kept/x.json", fs=memory)
    with UniSemVectorStore.from_persist_path("/kept/x.json", fs=memory) as again:
        assert len(again.get_nodes()) == 3
    assert len({name.split("/")[2] for name in memory.find("/kept")}) == 2


def test_a_bare_file_name_is_enough(
    store: UniSemVectorStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FaissVectorStore fails on one."""
    monkeypatch.chdir(tmp_path)
    store.persist("bare")
    with UniSemVectorStore.from_persist_path("bare") as loaded:
        assert same(store, loaded)


def test_the_default_places_agree(
    store: UniSemVectorStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store.persist()
    with UniSemVectorStore.from_persist_dir() as loaded:
        assert same(store, loaded)


def test_namespaces_in_one_directory_do_not_mix(store: UniSemVectorStore, tmp_path: Path) -> None:
    """FaissMapVectorStore's side file is shared, and two overwrite each other."""
    other = UniSemVectorStore()
    other.add([TextNode(id_="z", text="z", embedding=[1, 2, 3])])
    context = StorageContext.from_defaults(vector_store=store)
    context.add_vector_store(other, "other")
    context.persist(tmp_path)
    context.persist(tmp_path)
    for namespace, expected in (("default", store), ("other", other)):
        with UniSemVectorStore.from_persist_dir(str(tmp_path), namespace) as loaded:
            assert same(expected, loaded)
    ours = [path.name for path in tmp_path.iterdir() if path.suffix == ".unisem"]
    assert sorted(name.split("__")[0] for name in ours) == ["default", "other"]


@pytest.mark.parametrize(
    "load",
    [
        lambda folder: StorageContext.from_defaults(persist_dir=folder),
        SimpleVectorStore.from_persist_dir,
        lambda folder: SimpleVectorStore.from_persist_path(f"{folder}/default__vector_store.json"),
    ],
)
def test_the_stock_loader_fails_and_does_not_give_an_empty_store(
    store: UniSemVectorStore, tmp_path: Path, load: Callable[[str], Any]
) -> None:
    """A JSON object would load as an empty store."""
    StorageContext.from_defaults(vector_store=store).persist(tmp_path)
    with pytest.raises(ValueError, match=r"Load it with llama_index_unisem\.UniSemVectorStore"):
        load(str(tmp_path))


def test_an_index_through_a_storage_context(tmp_path: Path) -> None:
    embedding = MockEmbedding(embed_dim=4)
    context = StorageContext.from_defaults(vector_store=UniSemVectorStore())
    index = VectorStoreIndex.from_documents(
        [Document(id_="d", text="hello")], storage_context=context, embed_model=embedding
    )
    expected = index.as_retriever().retrieve("x")
    context.persist(tmp_path)
    with UniSemVectorStore.from_persist_dir(str(tmp_path)) as loaded:
        again = StorageContext.from_defaults(vector_store=loaded, persist_dir=str(tmp_path))
        restored = load_index_from_storage(again, embed_model=embedding)
        assert restored.as_retriever().retrieve("x") == expected
        restored.insert(Document(id_="e", text="world"))
        again.persist(tmp_path)
    with UniSemVectorStore.from_persist_dir(str(tmp_path)) as loaded:
        assert {node.ref_doc_id for node in loaded.get_nodes()} == {"d", "e"}


def test_what_cannot_be_loaded_is_said(store: UniSemVectorStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no UniSemVectorStore at"):
        UniSemVectorStore.from_persist_dir(str(tmp_path))
    path = tmp_path / "default__vector_store.json"
    SimpleVectorStore().persist(str(path))
    with pytest.raises(ValueError, match="not written by UniSemVectorStore"):
        UniSemVectorStore.from_persist_dir(str(tmp_path))
    facts: list[Any] = [None, 1, {}, {"directory": "x"}, {"directory": 1, "format": 2}]
    for text in (
        "{",
        "[]",
        "[" * 4000,
        *(json.dumps({"unisem_vector_store": part}) for part in facts),
    ):
        path.write_text(text)
        with pytest.raises((ValueError, CorruptStoreError)):
            UniSemVectorStore.from_persist_dir(str(tmp_path))
    for name in ("../outside", "/etc", ".."):
        marker = {"unisem_vector_store": {"directory": name, "format": 1}}
        path.write_text(json.dumps(marker))
        with pytest.raises(ValueError, match="not written by"):
            UniSemVectorStore.from_persist_dir(str(tmp_path))
    store.persist(str(path))
    shutil.rmtree(next(tmp_path.glob("*.unisem")))
    with pytest.raises(CorruptStoreError, match="which is missing"):
        UniSemVectorStore.from_persist_dir(str(tmp_path))


def test_a_strangers_marker_removes_no_folder_of_the_users(
    store: UniSemVectorStore, tmp_path: Path
) -> None:
    for name in ("photos", "mine.unisem"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cat.png").write_bytes(b"1")
        path = tmp_path / "default__vector_store.json"
        path.write_text(json.dumps({"unisem_vector_store": {"directory": name, "format": 1}}))
        store.persist(str(path))
        assert (tmp_path / name / "cat.png").read_bytes() == b"1"
        before = set(tmp_path.glob("*.unisem"))
        store.persist(str(path))  # which replaces the copy before
        assert len(before - set(tmp_path.glob("*.unisem"))) == 1


def test_another_process_s_writing_is_not_swept_away(
    store: UniSemVectorStore, tmp_path: Path
) -> None:
    path = tmp_path / "default__vector_store.json"
    store.persist(str(path))
    program = (
        "import sys; from llama_index.core.schema import TextNode\n"
        "from llama_index_unisem import UniSemVectorStore\n"
        f"store = UniSemVectorStore.from_persist_path({str(path)!r})\n"
        "store.add([TextNode(id_='w', text='w', embedding=[1.0, 0.0])])\n"
        "print('written', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        with pytest.raises(StoreLockedError):
            store.persist(str(path))
        writer.communicate()
    with UniSemVectorStore.from_persist_path(str(path)) as loaded:
        assert len(loaded.get_nodes()) == 3


@pytest.mark.parametrize(
    "namespace",
    ["../other", "..", "a/../../other", "a/b", "..\\other", "C:x", "", "x" * 5000, "a\0b", "a\nb"],
)
def test_a_namespace_is_a_name(tmp_path: Path, namespace: str) -> None:
    store = UniSemVectorStore()
    store.add([TextNode(text="secret", embedding=[1.0, 0.0])])
    store.persist(str(tmp_path / "other__vector_store.json"))
    (tmp_path / "inner").mkdir()
    for name in (namespace, str(tmp_path / "other")):
        with pytest.raises(ValueError, match="a namespace is a name"):
            UniSemVectorStore.from_persist_dir(str(tmp_path / "inner"), namespace=name)


def test_a_saved_directory_is_no_link(tmp_path: Path) -> None:
    store = UniSemVectorStore()
    store.add([TextNode(text="secret", embedding=[1.0, 0.0])])
    for name in ("inner", "outer"):
        store.persist(str(tmp_path / name / "default__vector_store.json"))
    (inner,), (outer,) = [list((tmp_path / name).glob("*.unisem")) for name in ("inner", "outer")]
    shutil.rmtree(inner)
    inner.symlink_to(outer)
    with pytest.raises(CorruptStoreError, match="is a link"):
        UniSemVectorStore.from_persist_dir(str(tmp_path / "inner"))
