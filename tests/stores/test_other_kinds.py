"""A store of another kind behind the space, both frameworks, the exchange and the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery
from typer.testing import CliRunner, Result

import langchain_unisem
import llama_index_unisem
from tests.support.list_store import SERVER, ListKind, ListStore
from tests.support.pictures import encoded, solid
from tests.support.text_embeddings import WordEmbeddings
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.cli.app import application
from unisem.errors import CorruptStoreError, StoreError
from unisem.exchange import export_space, import_space
from unisem.filters import Field
from unisem.space_parts import SpaceParts
from unisem.stores.faiss import FaissStore
from unisem.stores.hits import Hit
from unisem.stores.selection import EVERYTHING, Selection


@pytest.fixture(autouse=True)
def server() -> Iterator[None]:
    yield
    SERVER.clear()


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> ToyEncoder:
    """The encoder that everybody loads."""
    toy = ToyEncoder()
    for place in ("unisem.space_parts.load_encoder", "unisem.encoders.load_encoder"):
        monkeypatch.setattr(place, lambda *_, **__: toy)
    return toy


@pytest.fixture
def path(tmp_path: Path, encoder: ToyEncoder) -> Path:
    """A space of the other kind: texts, and a picture inside it."""
    with SemanticSpace.open(tmp_path / "s.unisem", store="list") as space:
        space.add(
            [
                Record(id="red", text="a red card", image=encoded(solid("red")), source_id="deck"),
                Record(id="old", text="an old tiger", metadata={"year": 1990}),
                Record(id="new", text="a new tiger", metadata={"year": 2020}),
            ]
        )
    return tmp_path / "s.unisem"


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(application(str(arguments[0])), [str(it) for it in arguments])
    assert result.exit_code == code, result.output
    return result


def test_a_space(path: Path) -> None:
    with SemanticSpace.open(path) as space:
        assert isinstance(space.store, ListStore)
        assert space.search("red", modality="image")[0].record.id == "red"
        found = space.search("tiger", filter=Field("year") > 2000, k=5)
        assert [hit.record.id for hit in found] == ["new"]
        for mode in ("keyword", "hybrid"):
            assert {h.record.id for h in space.search("tiger", k=2, mode=mode)} == {"new", "old"}  # type: ignore[arg-type]
        assert space.search("tiger", diversity=0.5, k=2)
        space.update({"old": {"year": 2021}})
        assert space.delete(filter=Field("year") > 2000) == 2
        space.backup(path.with_name("copy.unisem"))
    with SemanticSpace.open(path.with_name("copy.unisem")) as copy:
        assert [record.id for record in copy.store.select()] == ["red"]


def test_a_folder_with_a_space_in_it(path: Path, cards: Path) -> None:
    path.rename(cards / "inside.unisem")
    with SemanticSpace.open(cards / "own.unisem", store="list") as space:
        report = space.add_folder(cards)
        assert report.added == len(space) == 7
        assert space.add_folder(cards).unchanged == 7


def test_langchain(path: Path, encoder: ToyEncoder) -> None:
    with SemanticSpace.open(path) as space:
        store = langchain_unisem.UniSemVectorStore(space=space)
        store.add_documents([Document("a blue tiger", id="blue", metadata={"year": 2024})])
        found = store.similarity_search("tiger", k=9, filter={"year": {"$gte": 2020}})
        assert {document.id for document in found} == {"blue", "new"}
        retriever = store.as_retriever(search_type="hybrid", search_kwargs={"k": 1})
        assert retriever.invoke("blue")[0].id == "blue"
        own = langchain_unisem.UniSemRetriever(space=space, k=1)
        assert own.invoke("a red card")[0].id == "red"
        assert store.delete(["blue"])
        assert len(store) == 3


@pytest.mark.parametrize("elsewhere", [False, True])
def test_langchain_with_other_embeddings(tmp_path: Path, elsewhere: bool) -> None:
    where: Any = "list://there/notes" if elsewhere else tmp_path / "notes"
    make = langchain_unisem.UniSemVectorStore
    with make(embedding=WordEmbeddings(), path=where, store=ListKind()) as store:
        store.add_texts(["red", "blue"], ids=["a", "b"])
        assert isinstance(store.space.store, ListStore)
        with make(embedding=WordEmbeddings(), path=where) as again:
            assert again.space is store.space
        with pytest.raises(StoreError, match="not 'faiss'"):
            make(embedding=WordEmbeddings(), path=where, store="faiss")
    with make(embedding=WordEmbeddings(), path=where) as store:
        assert store.similarity_search("blue", k=1)[0].id == "b"


def test_llama_index(path: Path) -> None:
    with SemanticSpace.open(path) as space:
        retriever = llama_index_unisem.UniSemRetriever(space=space, similarity_top_k=1)
        assert retriever.retrieve("a red card")[0].node_id == "red"
        store = llama_index_unisem.UniSemVectorStore(space=space)
        vector = space.encoder.encode_texts(["an old tiger"])[0].tolist()
        assert store.query(VectorStoreQuery(query_embedding=vector, similarity_top_k=1)).ids == [
            "old"
        ]
        store.add([TextNode(id_="node", text="a node", embedding=vector)])
        assert space.get(["node"])[0] is not None


@pytest.mark.parametrize("elsewhere", [False, True])
def test_llama_index_with_a_store_of_its_own(tmp_path: Path, elsewhere: bool) -> None:
    where: Any = "list://there/nodes" if elsewhere else tmp_path / "nodes"
    make = llama_index_unisem.UniSemVectorStore
    with make(where, store="list") as store:
        store.add([TextNode(id_="a", text="a tiger", embedding=[0.6, 0.8])])
        assert isinstance(store.client, ListStore)
        assert make(where, store="list").client is store.client
    with make(where) as store:  # of itself it is of the kind that is there
        assert isinstance(store.client, ListStore)
        assert store.query(VectorStoreQuery(query_embedding=[1.0, 0.0])).ids == ["a"]
        store.persist(str(tmp_path / "out" / "default__vector_store.json"))
    if not elsewhere:
        with pytest.raises(StoreError, match="kind 'list', not 'faiss'"):
            make(where, store="faiss")
    with make.from_persist_dir(str(tmp_path / "out")) as copy:
        assert isinstance(copy.client, FaissStore)
        assert copy.query(VectorStoreQuery(query_embedding=[1.0, 0.0])).ids == ["a"]


@pytest.mark.parametrize("open_", [True, False])
def test_export_and_import_between_kinds(path: Path, tmp_path: Path, open_: bool) -> None:
    if open_:
        with SemanticSpace.open(path) as space:
            report = export_space(space, tmp_path / "out")
    else:
        report = export_space(path, tmp_path / "out", layout="parquet")
    assert (report.records, report.vectors, report.images) == (3, 4, 1)
    with SemanticSpace.open(tmp_path / "f.unisem") as space:
        assert import_space(tmp_path / "out", space).records == 3
        export_space(space, tmp_path / "back")
        moved = {item.record.id: item for item in space.store.embedded()}
    with SemanticSpace.open("list://there/cards") as space:
        assert import_space(tmp_path / "back", space).records == 3
        for item in space.store.embedded():
            for kind, row in item.vectors.items():
                assert row.tobytes() == moved[item.record.id].vectors[kind].tobytes()
        assert space.search("a red card", k=1)[0].record.id == "red"


def test_the_command_line(path: Path, tmp_path: Path) -> None:
    shown = run("store", "stats", path).stdout
    for text in ("3 (1 with a picture, 2 without)", "4 (1 of pictures, 3 of texts", "list"):
        assert text in shown
    assert json.loads(run("store", "stats", path, "--json").stdout)["store"] == "list"
    assert run("store", "check", path, "--images").stdout == "no problems\n"
    assert "needs no index" in run("store", "compact", path).stdout
    run("store", "compact", path, "--index", "hnsw", code=2)
    assert "3 records" in run("store", "backup", path, tmp_path / "copy.unisem").stdout
    assert '"old"' in run("search", path, "an old tiger", "--json").stdout
    assert "exported 3 records" in run("store", "export", path, tmp_path / "out").stdout
    into = ("--into", tmp_path / "new.unisem", "--store", "list")
    assert "imported 3 records" in run("store", "import", tmp_path / "out", *into).stdout
    assert json.loads(run("store", "stats", into[1], "--json").stdout)["store"] == "list"


def test_the_command_line_on_damage(path: Path, tmp_path: Path) -> None:
    data = (path / "records.json").read_bytes()
    (path / "manifest.json").unlink()
    assert "manifest.json is missing" in run("store", "check", path, code=1).stdout
    saved = run("store", "export", "--salvage", path, tmp_path / "out").stdout
    assert "exported 3 records" in saved
    (path / "records.json").write_bytes(data[:-9])
    assert "cannot be read" in run("store", "check", path, code=1).stdout
    with pytest.raises(CorruptStoreError):
        SemanticSpace.open(path)


def test_index_makes_a_space_of_a_kind(cards: Path, tmp_path: Path, encoder: ToyEncoder) -> None:
    path = tmp_path / "new.unisem"
    assert "7 records" in run("index", cards, "--into", path, "--store", "list").stdout
    assert "7 records" in run("index", cards, "--into", path).stdout
    assert "not 'faiss'" in run("index", cards, "--into", path, "--store", "faiss", code=1).stderr


class WithoutWords(ListStore):
    """A store that cannot search by words, and looks after itself."""

    def search_words(self, text: str, k: int, selection: Selection = EVERYTHING) -> list[Hit]:
        return super(ListStore, self).search_words(text, k, selection)

    def maintenance(self) -> Any:
        return super(ListStore, self).maintenance()


def test_what_a_store_cannot_do_is_a_typed_error(path: Path, encoder: ToyEncoder) -> None:
    with SemanticSpace.open(path) as whole:
        library = whole.image_library
        store = WithoutWords(path, library)
        parts = SpaceParts(encoder=encoder, store=store, image_library=library, place=path)
        space = SemanticSpace(parts)
        assert space.search("a red card", k=1)[0].record.id == "red"
        for mode in ("keyword", "hybrid"):
            with pytest.raises(StoreError, match=r"WithoutWords .* words"):
                space.search("tiger", mode=mode)  # type: ignore[arg-type]
        ours = langchain_unisem.UniSemVectorStore(space=space)
        with pytest.raises(StoreError, match="words"):
            ours.search("tiger", "hybrid")
        theirs = llama_index_unisem.UniSemRetriever(space=space, mode="hybrid")
        with pytest.raises(StoreError, match="words"):
            theirs.retrieve("tiger")
        with pytest.raises(StoreError, match="looks after itself"):
            space.compact()
        with pytest.raises(StoreError, match="looks after itself"):
            space.backup(path.with_name("copy"))
