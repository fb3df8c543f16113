"""LangChain's retiring FAISS store and UniSem's, given the same: each defect beside what we do.

Runs where `langchain-community` is installed. What UniSem does is tested in depth, without it, in
`test_langchain_stores.py`.
"""

from __future__ import annotations

import pickletools
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document

from langchain_unisem import UniSemVectorStore
from tests.support.text_embeddings import FixedEmbeddings, WordEmbeddings

pytestmark = pytest.mark.filterwarnings("ignore")
vectorstores = pytest.importorskip("langchain_community.vectorstores")
utils = pytest.importorskip("langchain_community.vectorstores.utils")
FAISS: Any = vectorstores.FAISS
Both = tuple[Any, UniSemVectorStore]
LONG = {"east": [9.0, 0.0], "west": [-0.2, 0.0], "north": [0.0, 3.0]}


def stores(texts: list[str], **options: Any) -> Both:
    return tuple(kind.from_texts(texts, WordEmbeddings(), **options) for kind in KINDS)  # type: ignore[return-value]


KINDS: list[Any] = [FAISS, UniSemVectorStore]


def ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


@pytest.fixture
def both() -> Both:
    return stores(["red", "blue"], metadatas=[{"year": 2024}, {}], ids=["a", "b"])


def is_pickle(data: bytes) -> bool:
    """Whether it can be read as one from its first byte to its last; vectors may begin like one."""
    try:
        *_, (_, _, end) = pickletools.genops(data)
    except ValueError:
        return False
    return end == len(data) - 1


def test_what_is_on_disk(both: Both, tmp_path: Path) -> None:
    both[0].save_local(str(tmp_path / "theirs"))
    assert is_pickle((tmp_path / "theirs" / "index.pkl").read_bytes())
    with UniSemVectorStore.from_texts(["red"], WordEmbeddings(), path=tmp_path / "ours"):
        pass
    files = [path for path in (tmp_path / "ours").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if is_pickle(path.read_bytes())]


def test_filter_and_fetch() -> None:
    texts = [f"thing {n}" for n in range(1000)]
    metadatas = [{"rare": n % 200 == 7} for n in range(1000)]
    theirs, ours = stores(texts, metadatas=metadatas)
    query = next(
        text for text in texts if not theirs.similarity_search(text, k=5, filter={"rare": True})
    )
    assert len(ours.similarity_search(query, k=5, filter={"rare": True})) == 5
    assert theirs.max_marginal_relevance_search(query, k=5, filter={"rare": True}) == []
    assert len(ours.max_marginal_relevance_search(query, k=5, filter={"rare": True})) == 5


def test_an_id_again(both: Both) -> None:
    theirs, ours = both
    with pytest.raises(ValueError, match="already exist"):
        theirs.add_texts(["green"], ids=["a"])
    with pytest.raises(KeyError):
        theirs.similarity_search("green", k=9)
    assert ours.add_texts(["green"], ids=["a"]) == ["a"]
    assert ids(ours.similarity_search("green", k=9)) == ["a", "b"]


def test_delete_of_what_is_not_there(both: Both) -> None:
    with pytest.raises(ValueError, match="do not exist"):
        both[0].delete(["nobody"])
    assert both[1].delete(["nobody"]) is True


def test_what_an_add_copies(both: Both) -> None:
    before = both[0].docstore._dict
    both[0].add_texts(["green"])
    assert both[0].docstore._dict is not before
    embeddings = both[1].embeddings
    assert isinstance(embeddings, WordEmbeddings)
    embeddings.texts.clear()
    both[1].add_texts(["green"])
    assert embeddings.texts == ["green"]


def test_delete_from_a_graph(tmp_path: Path) -> None:
    import faiss
    from langchain_community.docstore.in_memory import InMemoryDocstore

    from langchain_unisem import EmbeddingsEncoder
    from unisem import SemanticSpace
    from unisem.stores.faiss import FaissKind

    theirs = FAISS(WordEmbeddings(), faiss.IndexHNSWFlat(24, 8), InMemoryDocstore(), {})
    theirs.add_texts(["red", "blue"], ids=["a", "b"])
    with pytest.raises(RuntimeError, match="remove_ids not implemented"):
        theirs.delete(["a"])
    encoder = EmbeddingsEncoder(WordEmbeddings())
    with SemanticSpace.open(tmp_path / "s", encoder=encoder, store=FaissKind("hnsw")) as space:
        ours = UniSemVectorStore(space=space)
        ours.add_texts(["red", "blue"], ids=["a", "b"])
        space.compact()
        ours.delete(["a"])
        assert ids(ours.similarity_search("red")) == ["b"]


def test_relevance_of_inner_products() -> None:
    vectors = {name: (np.array(row) / np.linalg.norm(row)).tolist() for name, row in LONG.items()}
    embeddings = FixedEmbeddings(vectors)
    theirs = FAISS.from_texts(
        list(vectors), embeddings, distance_strategy=utils.DistanceStrategy.MAX_INNER_PRODUCT
    )
    ours = UniSemVectorStore.from_texts(list(vectors), embeddings)
    [(_, exact), *_] = theirs.similarity_search_with_relevance_scores("east")
    assert exact == 0
    [(best, exact), *_] = ours.similarity_search_with_relevance_scores("east")
    assert (best.page_content, exact) == ("east", 1.0)
    options = {"score_threshold": 0.8}
    worst = theirs.similarity_search_with_relevance_scores("east", k=3, **options)
    assert [document.page_content for document, _ in worst] == ["west"]
    good = ours.similarity_search_with_relevance_scores("east", k=3, **options)
    assert [document.page_content for document, _ in good] == ["east"]


def test_cosine_of_raw_lengths() -> None:
    embeddings = FixedEmbeddings(LONG)
    theirs = FAISS.from_texts(
        list(LONG), embeddings, distance_strategy=utils.DistanceStrategy.COSINE
    )
    assert min(score for _, score in theirs.similarity_search_with_relevance_scores("east")) < 0
    ours = UniSemVectorStore.from_texts(list(LONG), embeddings)
    scores = [score for _, score in ours.similarity_search_with_relevance_scores("east")]
    assert scores == [1.0, 0.5, 0.0]


def test_keys_beside_and() -> None:
    metadatas = [{"n": 1, "c": "red"}, {"n": 1, "c": "blue"}]
    theirs, ours = stores(["x", "y"], metadatas=metadatas, ids=["r", "b"])
    condition = {"$and": [{"n": {"$eq": 1}}], "c": "red"}
    assert sorted(ids(theirs.similarity_search("x", filter=condition))) == ["b", "r"]
    assert ids(ours.similarity_search("x", filter=condition)) == ["r"]


def test_a_field_that_is_missing(both: Both) -> None:
    condition = {"year": {"$gt": 2000}}
    with pytest.raises(TypeError, match="NoneType"):
        both[0].similarity_search("red", filter=condition)
    assert ids(both[1].similarity_search("red", filter=condition)) == ["a"]


def test_nothing(both: Both) -> None:
    with pytest.raises(IndexError):
        FAISS.from_texts([], WordEmbeddings())
    assert UniSemVectorStore.from_texts([], WordEmbeddings()).similarity_search("red") == []
    with pytest.raises((ValueError, AssertionError)):
        both[0].add_texts([])
    assert both[1].add_texts([]) == []


def test_what_comes_back(both: Both) -> None:
    theirs, ours = both
    [(found, score)] = theirs.similarity_search_with_score("red", k=1)
    found.metadata["year"] = 0
    assert type(score) is np.float32
    assert theirs.similarity_search("red", k=1)[0].metadata == {"year": 0}
    [(found, score)] = ours.similarity_search_with_score("red", k=1)
    found.metadata["year"] = 0
    assert type(score) is float
    assert ours.similarity_search("red", k=1)[0].metadata == {"year": 2024}


async def test_where_an_async_add_writes(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    wrote: list[int] = []
    for kind, name in ((FAISS, "_FAISS__add"), (UniSemVectorStore, "_add")):
        original = getattr(kind, name)

        def add(self: Any, *args: Any, original: Any = original, **options: Any) -> Any:
            wrote.append(threading.get_ident())
            return original(self, *args, **options)

        monkeypatch.setattr(kind, name, add)
    await both[0].aadd_texts(["green"])
    await both[1].aadd_texts(["green"])
    assert wrote[0] == threading.get_ident()
    assert wrote[1] != threading.get_ident()


def test_pictures(both: Both) -> None:
    assert not [name for name in dir(FAISS) if "image" in name]
    assert both[1].add_images([]) == []
