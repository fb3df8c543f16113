"""LangChain's indexing API over a `UniSemVectorStore`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, aindex, index

from langchain_unisem import UniSemVectorStore
from tests.support.text_embeddings import WordEmbeddings

pytestmark = pytest.mark.filterwarnings("ignore:Using SHA-1:UserWarning")


@pytest.fixture
def records() -> InMemoryRecordManager:
    manager = InMemoryRecordManager("notes")
    manager.create_schema()
    return manager


def notes(*texts: str) -> list[Document]:
    return [Document(text, metadata={"source": text.split()[0]}) for text in texts]


def contents(store: UniSemVectorStore) -> list[str]:
    return sorted(document.page_content for document in store.similarity_search("x", k=99))


def result(added: int, updated: int, skipped: int, deleted: int) -> dict[str, int]:
    return {
        "num_added": added,
        "num_updated": updated,
        "num_skipped": skipped,
        "num_deleted": deleted,
    }


@pytest.mark.parametrize("cleanup", ["incremental", "full", "scoped_full"])
@pytest.mark.parametrize("place", [None, "s"])
async def test_cleanup(
    records: InMemoryRecordManager, cleanup: Any, place: str | None, tmp_path: Path
) -> None:
    path = None if place is None else tmp_path / place
    with UniSemVectorStore(embedding=WordEmbeddings(), path=path) as store:
        options: dict[str, Any] = {"cleanup": cleanup, "source_id_key": "source"}
        first = notes("a one", "a two", "b three")
        assert index(first, records, store, **options) == result(3, 0, 0, 0)
        assert index(first, records, store, **options) == result(0, 0, 3, 0)
        assert contents(store) == ["a one", "a two", "b three"]
        second = notes("a one", "a new")
        removed = 2 if cleanup == "full" else 1  # b was not looked at
        assert await aindex(second, records, store, **options) == result(1, 0, 1, removed)
        assert contents(store) == ["a new", "a one", *([] if cleanup == "full" else ["b three"])]
        assert store.get_by_ids([str(d.id) for d in store.similarity_search("a one", k=1)])


def test_full_cleanup_of_everything(
    records: InMemoryRecordManager, store: UniSemVectorStore
) -> None:
    index(notes("a one", "b two"), records, store, cleanup="full")
    store.delete()  # behind the record manager's back: missing ids must not fail its cleanup
    assert index([], records, store, cleanup="full") == result(0, 0, 0, 2)
    assert contents(store) == []


def test_batches_and_forced_update(
    records: InMemoryRecordManager, store: UniSemVectorStore
) -> None:
    many = notes(*(f"n{n} text" for n in range(25)))
    assert index(many, records, store, batch_size=10) == result(25, 0, 0, 0)
    again = index(many, records, store, batch_size=10, force_update=True)
    assert again == result(0, 25, 0, 0)
    assert len(store) == 25


def test_generator_of_documents(records: InMemoryRecordManager, store: UniSemVectorStore) -> None:
    assert index((note for note in notes("a", "b", "a")), records, store) == result(2, 0, 1, 0)
    assert contents(store) == ["a", "b"]


def test_misspelt_upsert_argument(records: InMemoryRecordManager, store: UniSemVectorStore) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'metadata'"):
        index(notes("a"), records, store, upsert_kwargs={"metadata": {}})
    assert len(store) == 0
