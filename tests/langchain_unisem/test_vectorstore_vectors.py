"""`UniSemVectorStore.add_embeddings`: texts whose vectors are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document

from langchain_unisem import UniSemVectorStore
from tests.support.text_embeddings import FixedEmbeddings, WordEmbeddings

VECTORS = {"east": [9.0, 0.0], "north": [0.0, 0.2], "west": [-1.0, 0.0]}


@pytest.fixture
def plane() -> UniSemVectorStore:
    return UniSemVectorStore(embedding=FixedEmbeddings(VECTORS | {"dimension": [1.0, 1.0]}))


async def test_as_if_embedded(tmp_path: Path) -> None:
    texts = ["a red cat", "a blue hat", ""]
    metadatas = [{"n": 1}, None, {}]
    model = WordEmbeddings()
    pairs = list(zip(texts, model.embed_documents(texts), strict=True))
    embeddings = WordEmbeddings()
    with (
        UniSemVectorStore(embedding=embeddings, path=tmp_path / "a") as given,
        UniSemVectorStore(embedding=WordEmbeddings(), path=tmp_path / "b") as embedded,
    ):
        assert given.add_embeddings(iter(pairs), metadatas, ids=["a", "b", "c"]) == ["a", "b", "c"]
        assert embeddings.texts == []
        embedded.add_texts(texts, metadatas, ids=["a", "b", "c"])
        for query in ("red", "a hat", "cat"):
            found = given.similarity_search_with_score(query)
            assert found == embedded.similarity_search_with_score(query)
            assert given.search(query, "keyword") == embedded.search(query, "keyword")
        rows = np.array([vector for _, vector in pairs], np.float32)
        again = zip(texts, rows, strict=True)
        assert await given.aadd_embeddings(again, metadatas, ids=["a", "b", "c"])  # type: ignore[arg-type]
        assert len(given) == 3
        (made_up,) = given.add_embeddings([pairs[0]])
        assert given.get_by_ids([made_up])[0].page_content == "a red cat"


def test_any_length(plane: UniSemVectorStore) -> None:
    plane.add_embeddings(list(VECTORS.items()))
    found = plane.similarity_search_with_score("east")
    assert [(document.page_content, score) for document, score in found] == [
        ("east", 1.0),
        ("north", 0.0),
        ("west", -1.0),
    ]


def test_last_of_an_id_counts(plane: UniSemVectorStore) -> None:
    names = ["a", "b", "a"]
    assert plane.add_embeddings(list(VECTORS.items()), ids=names) == names
    assert plane.get_by_ids(["a", "b"]) == [Document("west", id="a"), Document("north", id="b")]
    assert plane.add_embeddings([]) == []


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ([1.0], r"text_embeddings\[1\] has the shape \(1,\); .* make \(2,\)"),
        ([1.0, 2.0, 3.0], r"has the shape \(3,\)"),
        ([[1.0, 2.0]], r"has the shape \(1, 2\)"),
        ([0.0, 0.0], "is zero or not finite"),
        ([float("nan"), 1.0], "is zero or not finite"),
        ([float("inf"), 1.0], "is zero or not finite"),
        (["x", "y"], "is no list of numbers"),
        ([[1.0], [2.0, 3.0]], "is no list of numbers"),
    ],
)
def test_bad_vectors_add_nothing(plane: UniSemVectorStore, vector: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plane.add_embeddings([("east", [1.0, 0.0]), ("bad", vector)])
    assert len(plane) == 0


@pytest.mark.parametrize("pairs", [["ab"], [("east",)], [("east", [1.0, 0.0], 3)], [7]])
def test_no_pairs(plane: UniSemVectorStore, pairs: Any) -> None:
    with pytest.raises(TypeError, match=r"text_embeddings\[0\] must be a pair"):
        plane.add_embeddings(pairs)


def test_bad_texts(plane: UniSemVectorStore) -> None:
    with pytest.raises(TypeError, match=r"texts\[0\] must be a string, not int"):
        plane.add_embeddings([(3, [1.0, 0.0])])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="got 2 ids for 1 inputs"):
        plane.add_embeddings([("east", [1.0, 0.0])], ids=["a", "b"])
