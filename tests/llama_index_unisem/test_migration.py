"""The example scripts that ingest, and that move an index here; on small data, offline."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import faiss
import numpy as np
import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.indices.multi_modal import MultiModalVectorStoreIndex
from llama_index.core.schema import BaseNode, ImageNode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.vector_stores.faiss import FaissVectorStore

from llama_index_unisem import UniSemEmbedding, UniSemIndex, UniSemVectorStore
from tests.support.pictures import solid
from tests.support.toy import ToyEncoder

EXAMPLES = Path(__file__).parents[2] / "examples"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"llama_index_{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is named is a toy; an encoder that is given is itself."""

    def loaded(model: Any, **_: Any) -> Any:
        return ToyEncoder() if isinstance(model, str) else model

    monkeypatch.setattr("llama_index_unisem.embeddings.embedding.load_encoder", loaded)


def old_nodes(cards: Path) -> list[BaseNode]:
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="book")}
    return [
        TextNode(id_="about", text="cards are made of paper", relationships=source),
        TextNode(id_="year", text="a violet card", metadata={"year": 2024}),
        ImageNode(id_="red", text="a red card", image_path=str(cards / "red.png")),
        ImageNode(id_="bare", image_path=str(cards / "blue.png"), metadata={"year": 2020}),
    ]


# -- ingestion ---------------------------------------------------------------------------------


def test_ingestion(cards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = script("ingestion")

    def run() -> list[str]:
        example.main(["a blue card", "--folder", str(cards), "--state", str(tmp_path / "state")])
        return capsys.readouterr().out.splitlines()

    first = run()
    assert first[0] == "7 new nodes, 7 in all"
    assert first[1].split()[1] == "cards/blue.png"
    assert run()[0] == "0 new nodes, 7 in all"
    solid("white").save(cards / "blue.png")
    (cards / "red.png").unlink()
    (cards / "red.txt").unlink()
    (cards / "bad.png").write_text("no picture")
    again = run()
    assert again[0].startswith(f"left out: {cards / 'bad.png'}: ")
    assert again[1] == "1 new nodes, 6 in all"


def test_the_examples_own_gallery_can_be_read() -> None:
    from llama_index_unisem import UniSemImageReader

    reader = UniSemImageReader(script("ingestion").GALLERY)
    assert len(reader.load_data()) > 20
    assert reader.skipped == []  # its own page is read, too


# -- from MultiModalVectorStoreIndex -----------------------------------------------------------


def persisted(nodes: list[BaseNode], storage: Path, text_model: Any, image_model: Any) -> None:
    index = MultiModalVectorStoreIndex(nodes, embed_model=text_model, image_embed_model=image_model)
    index.storage_context.persist(str(storage))


def test_from_multi_modal_with_its_vectors(
    embedding: UniSemEmbedding, cards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage, target = tmp_path / "storage", tmp_path / "cards.unisem"
    persisted(old_nodes(cards), storage, embedding, embedding)
    encoder = embedding.encoder
    assert isinstance(encoder, ToyEncoder)
    done = encoder.images_encoded, encoder.texts_encoded
    script("migrate_from_multi_modal").main([str(storage), str(target), "--keep-vectors"])
    assert capsys.readouterr().out == f"4 nodes in {target}\n"
    assert (encoder.images_encoded, encoder.texts_encoded) == done
    with UniSemVectorStore(target) as store:
        kinds = [set(found or {}) for found in store.client.vectors(["about", "red", "bare"])]
        assert kinds == [{"text"}, {"text", "image"}, {"image"}]
        moved = store.client.vectors(["red"])[0]
        assert moved is not None
        expected = ToyEncoder().encode_images([cards / "red.png"])[0]
        np.testing.assert_allclose(np.ravel(moved["image"]), expected, atol=1e-7)
        nodes = {node.node_id: node for node in store.get_nodes()}
        assert nodes["about"].ref_doc_id == "book"
        assert nodes["bare"].metadata == {"year": 2020}
        index = UniSemIndex.from_vector_store(store, embed_model=embedding)
        for query, best in (("a red card", "red"), ("blue", "bare"), ("paper", "about")):
            assert index.as_retriever().retrieve(query)[0].node_id == best


def test_from_multi_modal_of_two_models_is_embedded_anew(
    embedding: UniSemEmbedding, cards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage, target = tmp_path / "storage", tmp_path / "cards.unisem"
    other = UniSemEmbedding(encoder=ToyEncoder(dimension=24, seed=1))
    persisted(old_nodes(cards), storage, other, embedding)
    example = script("migrate_from_multi_modal")
    with pytest.raises(ValueError, match=r"of different lengths, \[24, 48\]"):
        example.main([str(storage), str(target), "--keep-vectors"])
    (cards / "blue.png").unlink()
    example.main([str(storage), str(target)])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("left out: bare: ")
    assert "does not exist" in printed[0]
    assert printed[1] == f"3 nodes in {target}"
    with UniSemVectorStore(target) as store:
        index = UniSemIndex.from_vector_store(store, embed_model=embedding)
        fresh = UniSemIndex(old_nodes(cards)[:3], embed_model=embedding)
        for query in ("a red card", "paper", "violet"):
            results = [
                {
                    hit.node_id: hit.score
                    for hit in one.as_retriever(similarity_top_k=9).retrieve(query)
                }
                for one in (index, fresh)
            ]
            assert results[0] == results[1]


# -- from FaissVectorStore ---------------------------------------------------------------------


@pytest.fixture
def stored_by_faiss(embedding: UniSemEmbedding, tmp_path: Path) -> Path:
    """An index over Faiss, saved by LlamaIndex's own integration."""
    store = FaissVectorStore(faiss.IndexFlatL2(embedding.encoder.dimension))
    context = StorageContext.from_defaults(vector_store=store)
    nodes = [TextNode(id_="about", text="cards are made of paper", metadata={"year": 1999})]
    nodes += [
        TextNode(
            id_=colour,
            text=f"a {colour} card",
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="book")},
        )
        for colour in ("red", "green", "blue")
    ]
    index = VectorStoreIndex(nodes, storage_context=context, embed_model=embedding)
    index.storage_context.persist(str(tmp_path / "storage"))
    return tmp_path / "storage"


def check_moved(target: Path, embedding: UniSemEmbedding) -> None:
    with UniSemVectorStore(target) as store:
        index = UniSemIndex.from_vector_store(store, embed_model=embedding)
        texts = {node.node_id: node.get_content("all") for node in store.get_nodes()}  # type: ignore[arg-type]
        assert set(texts) == {"about", "red", "green", "blue"}
        for name in ("red", "green", "blue"):
            hit = index.as_retriever(similarity_top_k=1).retrieve(f"a {name} card")[0]
            assert (hit.node_id, hit.score) == (name, pytest.approx(1, abs=1e-6))
        index.delete_ref_doc("book")
        assert [node.node_id for node in store.get_nodes()] == ["about"]


def test_from_faiss(
    stored_by_faiss: Path,
    embedding: UniSemEmbedding,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "texts.unisem"
    encoder = embedding.encoder
    assert isinstance(encoder, ToyEncoder)
    done = encoder.texts_encoded
    script("migrate_from_faiss").main([str(stored_by_faiss), str(target)])
    assert capsys.readouterr().out.splitlines()[0] == f"4 nodes in {target}"
    assert encoder.texts_encoded == done
    check_moved(target, embedding)


def test_from_faiss_names_vectors_of_nodes_that_are_gone(
    stored_by_faiss: Path,
    embedding: UniSemEmbedding,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = stored_by_faiss / "default__vector_store.json"
    flat = faiss.read_index(str(place))
    flat.add(np.ones((1, flat.d), np.float32))
    faiss.write_index(flat, str(place))
    target = tmp_path / "texts.unisem"
    script("migrate_from_faiss").main([str(stored_by_faiss), str(target)])
    assert "1 vectors belong to no node: 4" in capsys.readouterr().out
    check_moved(target, embedding)


@pytest.mark.parametrize("kind", ["IVF1,Flat", "HNSW8,Flat", "PCAR48,IVF1,Flat"])
def test_from_faiss_with_other_kinds_of_index(
    stored_by_faiss: Path, embedding: UniSemEmbedding, tmp_path: Path, kind: str
) -> None:
    place = stored_by_faiss / "default__vector_store.json"
    flat = faiss.read_index(str(place))
    rows = flat.reconstruct_n(0, flat.ntotal)
    other = faiss.index_factory(flat.d, kind)
    other.train(np.random.default_rng(0).standard_normal((200, flat.d)).astype(np.float32))
    other.add(rows)
    faiss.write_index(other, str(place))
    script("migrate_from_faiss").main([str(stored_by_faiss), str(tmp_path / "texts.unisem")])
    check_moved(tmp_path / "texts.unisem", embedding)
