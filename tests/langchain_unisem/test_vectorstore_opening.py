"""Making, closing and reopening a `UniSemVectorStore`."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document

from langchain_unisem import EmbeddingsEncoder, UniSemEmbeddings, UniSemVectorStore
from tests.support.pictures import solid
from tests.support.text_embeddings import FixedEmbeddings, WordEmbeddings
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.errors import (
    EncoderError,
    EncoderMismatchError,
    RecordError,
    StoreError,
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


def test_stores_of_one_path_share_it(tmp_path: Path) -> None:
    path = tmp_path / "s"
    (tmp_path / "link").symlink_to(path)
    first = UniSemVectorStore.from_texts(["red"], WordEmbeddings(), path=path)
    with UniSemVectorStore(embedding=WordEmbeddings(), path=tmp_path / "link") as second:
        assert second.space is first.space
        second.add_texts(["blue"])
        first.add_texts(["green"])
        assert len(first) == len(second) == 3
        first.close()
        first.close()
        assert [d.page_content for d in second.similarity_search("green", 1)] == ["green"]
        with pytest.raises(EncoderMismatchError):
            UniSemVectorStore(embedding=WordEmbeddings(25), path=path)
        with pytest.raises(StoreError, match="other image_roots"):
            UniSemVectorStore(embedding=WordEmbeddings(), path=path, image_roots=[tmp_path])
    with pytest.raises(StoreError, match="closed"):
        second.similarity_search("red")
    with SemanticSpace.open(path, encoder=EmbeddingsEncoder(WordEmbeddings())) as space:
        space.delete(["nobody"])  # the writer's lock is free


def test_a_cell_that_makes_a_store_can_be_run_twice(tmp_path: Path) -> None:
    for text in ("first", "second"):
        store = UniSemVectorStore.from_texts(
            [text], WordEmbeddings(), ids=["1"], path=tmp_path / "s"
        )
    assert [found.page_content for found in store.similarity_search("x")] == ["second"]
    store.close()


def test_a_new_directory_in_the_place_of_a_deleted_one_is_another(tmp_path: Path) -> None:
    path = tmp_path / "s"
    old = UniSemVectorStore.from_texts(["old"], WordEmbeddings(), path=path)
    path.rename(tmp_path / "away")
    with UniSemVectorStore.from_texts(["new"], WordEmbeddings(), path=path) as new:
        assert new.space is not old.space
        assert [found.page_content for found in new.similarity_search("x")] == ["new"]


async def test_opening_leaves_the_event_loop_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    opened = SemanticSpace.open.__func__  # type: ignore[attr-defined]

    def recorded(cls: type[SemanticSpace], *args: Any, **options: Any) -> SemanticSpace:
        threads.append(threading.current_thread())
        return opened(cls, *args, **options)  # type: ignore[no-any-return]

    monkeypatch.setattr(SemanticSpace, "open", classmethod(recorded))
    with await SemanticSpace.aopen(tmp_path / "a", encoder=ToyEncoder()) as space:
        assert len(space) == 0
    with await UniSemVectorStore.aopen(WordEmbeddings(), path=tmp_path / "b") as store:
        assert len(store) == 0
    assert len(threads) == 2
    assert threading.main_thread() not in threads


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
