"""Making, closing and reopening a `UniSemVectorStore`."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_core.documents import Document

from langchain_unisem import UniSemEmbeddings, UniSemVectorStore
from tests.support.pictures import solid
from tests.support.text_embeddings import FixedEmbeddings, WordEmbeddings
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.errors import (
    EncoderError,
    EncoderMismatchError,
    RecordError,
    StoreError,
    StoreLockedError,
)


def everything(store: UniSemVectorStore) -> list[Document]:
    return store.get_by_ids([record.id for record in store.space.store.select()])


def test_persistence(tmp_path: Path) -> None:
    path = tmp_path / "s"
    documents = [Document("red", id="a", metadata={"n": [1]}), Document("blue", id="b")]
    with UniSemVectorStore.from_documents(documents, WordEmbeddings(), path=path) as store:
        assert store.space.path == path
        scored = store.similarity_search_with_score("red")
    with UniSemVectorStore(embedding=WordEmbeddings(), path=path) as again:
        assert again.similarity_search_with_score("red") == scored
        assert scored[0][0] == documents[0]
        again.delete(["a"])
    with UniSemVectorStore.from_texts(["green"], WordEmbeddings(), path=str(path)) as more:
        assert sorted(d.page_content for d in everything(more)) == ["blue", "green"]
    with pytest.raises(StoreError, match="closed"):
        more.similarity_search("red")


def test_one_writer_many_readers(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with (
        UniSemVectorStore.from_texts(["red"], WordEmbeddings(), path=path) as writer,
        UniSemVectorStore(embedding=WordEmbeddings(), path=path) as reader,
    ):
        assert [d.page_content for d in reader.similarity_search("red")] == ["red"]
        with pytest.raises(StoreLockedError):
            reader.add_texts(["blue"])
        with pytest.raises(StoreLockedError):
            reader.delete()
        writer.add_texts(["green"])
        assert [d.page_content for d in reader.similarity_search("green", 1)] == ["green"]
        assert len(writer) == len(reader) == 2


def test_failure_while_filling_lets_go_of_the_lock(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(RecordError):
            UniSemVectorStore.from_texts(["a"], WordEmbeddings(), [{"x": b""}], path=tmp_path / "s")
    with UniSemVectorStore.from_texts(["a"], WordEmbeddings(), path=tmp_path / "s") as store:
        assert len(store) == 1


def test_other_embeddings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s"
    UniSemVectorStore.from_texts(["red"], WordEmbeddings(24), path=path).close()
    with pytest.raises(EncoderMismatchError, match=r"or with other settings.*fingerprint="):
        UniSemVectorStore(embedding=WordEmbeddings(25), path=path)
    with pytest.raises(EncoderError):
        SemanticSpace.open(path)
    same = UniSemVectorStore.from_texts(
        ["a"], WordEmbeddings(), path=tmp_path / "n", fingerprint="1"
    )
    same.close()
    with UniSemVectorStore(
        embedding=FixedEmbeddings({}), path=tmp_path / "n", fingerprint="1"
    ) as store:
        assert len(store) == 1


async def test_constructors(card_space: SemanticSpace, tmp_path: Path) -> None:
    before = len(card_space)
    with UniSemVectorStore.from_texts(["red"], space=card_space):
        pass
    store = UniSemVectorStore.from_documents([Document("red")], space=card_space)
    await UniSemVectorStore.afrom_texts(["red"], space=card_space)
    await UniSemVectorStore.afrom_documents([Document("red")], space=card_space)
    await UniSemVectorStore.afrom_images([solid("red")], space=card_space)
    assert len(store) == before + 5  # and the space has stayed open
    assert isinstance(store.embeddings, UniSemEmbeddings)
    assert store.embeddings.encoder is card_space.encoder
    unisem = UniSemEmbeddings(encoder=ToyEncoder())
    with UniSemVectorStore.from_images([solid("red")], unisem, path=tmp_path / "own") as own:
        assert own.space.encoder is unisem.encoder
        assert own.embeddings is unisem
    with SemanticSpace.open(tmp_path / "own", encoder=ToyEncoder()) as space:
        assert len(space) == 1


def test_bad_construction(space: SemanticSpace, tmp_path: Path) -> None:
    words = WordEmbeddings()
    for options, message in (
        ({}, "give either space="),
        ({"space": space, "embedding": words}, "give either space="),
        ({"space": space, "path": tmp_path}, "go with embedding"),
        ({"space": "photos.unisem"}, "must be a unisem.SemanticSpace, not str"),
        ({"embedding": "mini"}, "must be a langchain_core Embeddings, not str"),
        (
            {"embedding": UniSemEmbeddings(encoder=ToyEncoder()), "fingerprint": "x"},
            "fingerprint of their own",
        ),
    ):
        with pytest.raises(TypeError, match=message):
            UniSemVectorStore(**options)


def test_repr_shows_no_secret(tmp_path: Path) -> None:
    embeddings = WordEmbeddings()
    embeddings.api_key = "hunter2"  # type: ignore[attr-defined]
    store = UniSemVectorStore(embedding=embeddings, path=tmp_path / "s")
    store.close()
    assert repr(store).startswith("UniSemVectorStore(space=SemanticSpace(")
    assert "hunter2" not in repr(store) + (tmp_path / "s" / "manifest.json").read_text()
