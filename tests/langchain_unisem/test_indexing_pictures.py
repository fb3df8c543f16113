"""LangChain's indexing API over folders of pictures."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.documents.base import Blob
from langchain_core.indexing import InMemoryRecordManager, RecordManager, aindex, index

from langchain_unisem import (
    ImageBlobParser,
    ImageFolderLoader,
    ImageQuery,
    SpaceRecordManager,
    UniSemRetriever,
    UniSemVectorStore,
    image_document,
    image_key,
)
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.common.skipped import Skipped


@pytest.fixture(params=["LangChain's", "the space's"])
def records(request: pytest.FixtureRequest, space: SemanticSpace) -> RecordManager:
    if request.param == "the space's":
        return SpaceRecordManager(space)
    manager = InMemoryRecordManager("pictures")
    manager.create_schema()
    return manager


@pytest.fixture
def store(space: SemanticSpace) -> UniSemVectorStore:
    return UniSemVectorStore(space=space)


def result(added: int, skipped: int, deleted: int) -> dict[str, int]:
    return {
        "num_added": added,
        "num_updated": 0,
        "num_skipped": skipped,
        "num_deleted": deleted,
    }


def looking(store: UniSemVectorStore, colour: str) -> list[str]:
    """The captions of the pictures that look like this, whatever the captions say."""
    query = ImageQuery(solid(colour, (6, 6)))
    found = store.similarity_search_with_score(query, 99, match="image", modality="image")
    return sorted(document.page_content for document, score in found if score > 0.9)


@pytest.mark.parametrize(("batch_size", "key"), [(1, image_key), (100, image_key), (4, "blake2b")])
@pytest.mark.parametrize("cleanup", ["incremental", "full", "scoped_full"])
@pytest.mark.parametrize("twin", ["sync", "async"])
def test_a_picture_that_changed(
    cards: Path,
    store: UniSemVectorStore,
    records: RecordManager,
    encoder: ToyEncoder,
    cleanup: Any,
    batch_size: int,
    key: Any,
    twin: str,
) -> None:
    loader = ImageFolderLoader(cards)

    def run(embedded: int) -> dict[str, int]:
        options: dict[str, Any] = {"cleanup": cleanup, "source_id_key": "source"}
        options |= {"batch_size": batch_size, "key_encoder": key}
        before = encoder.images_encoded
        if twin == "sync":
            done = index(loader, records, store, **options)
        else:
            done = asyncio.run(aindex(loader, records, store, **options))
        assert encoder.images_encoded - before == embedded
        return dict(done)

    assert run(embedded=6) == result(6, 0, 0)
    assert run(embedded=0) == result(0, 6, 0)
    assert looking(store, "red") == ["a red card"]

    solid("blue", (12, 12)).save(cards / "red.png")  # the same path, the same caption
    assert run(embedded=1) == result(1, 5, 1)
    assert looking(store, "blue") == ["a blue card", "a red card"]
    assert looking(store, "red") == []
    (found,) = store.similarity_search("a red card", k=1)
    (record,) = store.space.get([str(found.id)])
    assert record
    assert record.image
    assert record.image.open().size == (12, 12)
    assert len(store) == 6

    (cards / "red.txt").write_text("a card that was red")
    assert run(embedded=1) == result(1, 5, 1)
    (cards / "green.png").unlink()
    assert run(embedded=0) == result(0, 5, 1 if cleanup == "full" else 0)
    assert len(store) == (5 if cleanup == "full" else 6)


def test_what_the_default_misses(
    cards: Path, store: UniSemVectorStore, records: RecordManager
) -> None:
    """A document with path and caption only is skipped when the bytes change; ours is not."""

    def plain() -> list[Document]:
        return [Document("a red card", metadata={"source": str(cards / "red.png")})]

    def ours() -> list[Document]:
        return [image_document(cards / "red.png", caption="a red card")]

    for documents, added in ((plain, 0), (ours, 1)):
        index(documents(), records, store, key_encoder="blake2b")
        solid("blue", (added + 2, 2)).save(cards / "red.png")
        done = index(documents(), records, store, key_encoder="blake2b")
        assert done == result(added, 1 - added, 0)


def test_texts_and_pictures_together(
    cards: Path, store: UniSemVectorStore, records: RecordManager
) -> None:
    notes = [Document("Cards are paper.", metadata={"source": "notes"})]

    def run() -> dict[str, int]:
        documents = [*ImageFolderLoader(cards).lazy_load(), *notes]
        return dict(index(documents, records, store, cleanup="full", key_encoder=image_key))

    assert run() == result(7, 0, 0)
    notes[0].page_content = "Cards are plastic."
    assert run() == result(1, 6, 1)
    kinds = [record.modality for record in store.space.store.select()]
    assert sorted(kinds) == ["image"] * 6 + ["text"]


def test_a_bad_picture_costs_itself_only(
    cards: Path, store: UniSemVectorStore, records: RecordManager
) -> None:
    (cards / "bad.png").write_bytes(encoded(solid("red", (90, 90)))[:60])
    skipped: list[Skipped] = []
    loader = ImageFolderLoader(cards, on_skip=skipped.append)
    options: dict[str, Any] = {"cleanup": "full", "key_encoder": image_key}
    assert index(loader, records, store, **options) == result(6, 0, 0)
    assert [item.name for item in skipped] == [str(cards / "bad.png")]
    solid("red", (90, 90)).save(cards / "bad.png")
    assert index(loader, records, store, **options) == result(1, 6, 0)


def test_pictures_kept_in_the_space(
    space: SemanticSpace, store: UniSemVectorStore, records: RecordManager
) -> None:
    parser = ImageBlobParser(space=space)

    def run(*colours: str) -> dict[str, int]:
        blobs = [Blob.from_data(encoded(solid(c)), path=f"scan-{n}") for n, c in enumerate(colours)]
        documents = [document for blob in blobs for document in parser.lazy_parse(blob)]
        options: dict[str, Any] = {"cleanup": "incremental", "source_id_key": "source"}
        return dict(index(documents, records, store, key_encoder=image_key, **options))

    assert run("red", "blue") == result(2, 0, 0)
    assert run("red", "blue") == result(0, 2, 0)
    assert run("red", "green") == result(1, 1, 1)
    (found,) = store.similarity_search_by_image(solid("green"), k=1)
    assert found.metadata["source"] == "scan-1"


class TestKey:
    """What changes the key, and what does not."""

    def test_changes(self, cards: Path) -> None:
        documents = [
            image_document(cards / "red.png", caption="a", metadata={"source": "x"}),
            image_document(cards / "red.png", caption="b", metadata={"source": "x"}),
            image_document(cards / "red.png", caption="a", metadata={"source": "y"}),
            image_document(cards / "red.png", caption="a", metadata={"source": "x", "n": 1}),
            image_document(cards / "blue.png", caption="a", metadata={"source": "x"}),
            Document("a", metadata={"source": "x"}),
            Document("", metadata={"source": "x"}),
            Document("a", metadata={"source": "x", "n": 1}),
            Document("a", metadata={"source": "x", "n": "1"}),
            Document("a", metadata={"source": "x", "n": None}),
            Document("a", metadata={"source": "x", "n": [1]}),
            Document('a", {"source": "x"}', metadata={}),
        ]
        keys = [image_key(document) for document in documents]
        assert len(set(keys)) == len(documents)
        assert all(len(key) == 64 and int(key, 16) for key in keys)

    def test_stays(self, cards: Path, tmp_path: Path, space: SemanticSpace) -> None:
        metadata = {"source": "x", "n": {"b": 2, "a": 1}}
        document = image_document(cards / "red.png", caption="a", metadata=metadata, id="1")
        key = image_key(document)
        turned = dict(reversed(document.metadata.items())) | {"n": {"a": 1, "b": 2}}
        assert image_key(Document("a", metadata=turned)) == key
        copy = tmp_path / "copy.png"
        copy.write_bytes((cards / "red.png").read_bytes())
        assert image_key(image_document(copy, caption="a", metadata=metadata)) == key
        UniSemVectorStore(space=space).add_documents([document])
        (found,) = UniSemRetriever(space=space, k=1).invoke("a")
        assert "relevance_score" in found.metadata
        assert image_key(found) == key

    @pytest.mark.parametrize("value", [{1, 2}, b"x", float("nan"), object(), {("a",): 1}])
    def test_not_json(self, value: Any) -> None:
        with pytest.raises(ValueError, match="document 'd' has metadata that are not JSON"):
            image_key(Document("a", id="d", metadata={"bad": value}))

    def test_incomplete_reference(self) -> None:
        with pytest.raises(ValueError, match="without its digest"):
            image_key(Document("a", metadata={"unisem_image": "/x.png"}))


def test_the_space_s_own_manager_remembers_and_leaves_alone_what_is_not_its(
    cards: Path, store: UniSemVectorStore
) -> None:
    store.space.add([Record(id="mine", text="a note", metadata={"source": str(cards / "red.png")})])
    store.add_documents([Document("another", metadata={"source": "somewhere"})])

    def run() -> dict[str, int]:
        options: dict[str, Any] = {"cleanup": "full", "source_id_key": "source"}
        options["key_encoder"] = image_key
        manager = SpaceRecordManager(store.space)  # a new one each time, as after a restart
        return dict(index(ImageFolderLoader(cards), manager, store, **options))

    assert run() == result(6, 0, 0)
    assert run() == result(0, 6, 0)
    (cards / "red.png").unlink()
    assert run() == result(0, 5, 1)
    store.delete(ids=[it.id for it in store.space.store.select() if it.text == "a blue card"])
    assert run() == result(1, 4, 0)  # what the store has lost comes back
    assert len(store) == 7
    with pytest.raises(ValueError, match="the clock was set back"):
        SpaceRecordManager(store.space).update(["a"], time_at_least=4e9)


@pytest.mark.parametrize("cleanup", ["incremental", "full", "scoped_full"])
def test_a_namespace_is_cleaned_up_by_itself(store: UniSemVectorStore, cleanup: Any) -> None:
    def run(namespace: str, *texts: str) -> dict[str, int]:
        documents = [Document(text, metadata={"room": "one"}) for text in texts]
        manager = SpaceRecordManager(store.space, namespace)
        options: dict[str, Any] = {"cleanup": cleanup, "source_id_key": "room"}
        return dict(index(documents, manager, store, key_encoder=image_key, **options))

    assert run("wiki", "a", "b", "both") == result(3, 0, 0)
    assert run("mail", "c", "d", "both") == result(2, 1, 0)
    assert run("wiki", "a") == result(0, 1, 1), "both is the mail's"
    assert run("mail", "c") == result(0, 1, 2)
    assert sorted(str(it.text) for it in store.space.store.select()) == ["a", "c"]
    assert [len(SpaceRecordManager(store.space, it).list_keys()) for it in ("wiki", "x")] == [1, 0]
