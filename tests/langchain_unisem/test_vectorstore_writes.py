"""What goes into a `UniSemVectorStore`, what comes back, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document

from langchain_unisem import UniSemVectorStore, format_documents
from tests.support.pictures import encoded, solid
from tests.support.text_embeddings import FixedEmbeddings, WordEmbeddings
from tests.support.toy import FusingToyEncoder
from unisem import SemanticSpace
from unisem.errors import (
    EncoderError,
    ImageError,
    RecordError,
    StoreError,
)
from unisem.filters import Field


def everything(store: UniSemVectorStore) -> list[Document]:
    return store.get_by_ids([record.id for record in store.space.store.select()])


async def test_generators(store: UniSemVectorStore) -> None:
    names = store.add_texts((text for text in ("red", "blue")), iter([{"n": 1}, None]))
    assert [(d.page_content, d.metadata) for d in store.get_by_ids(names)] == [
        ("red", {"n": 1}),
        ("blue", {}),
    ]
    names = store.add_documents((Document(text) for text in ("black", "white")), ids=iter("xy"))
    assert names == ["x", "y"]
    assert len(store) == 4
    assert await store.aadd_texts((text for text in ("a", "b")), ids=iter("pq")) == ["p", "q"]
    assert await store.aadd_documents(Document(text, id=text) for text in "xz") == ["x", "z"]
    assert len(store) == 7


def test_mixed_ids(store: UniSemVectorStore) -> None:
    documents = [Document("red", id="a"), Document("blue"), Document("green", id="c")]
    names = store.add_documents(documents)
    assert names[::2] == ["a", "c"]
    assert names[1] not in (None, "a", "c")
    assert documents[1].id is None
    assert [d.page_content for d in store.get_by_ids(names)] == ["red", "blue", "green"]
    assert store.add_documents(documents, ids=["x", "y", None]) == ["x", "y", "c"]
    assert len(store) == 5
    made = UniSemVectorStore.from_documents(documents, WordEmbeddings())
    assert len(made) == 3
    assert len(made.get_by_ids(["a", "c"])) == 2


def test_ids_that_are_made_up_differ(store: UniSemVectorStore) -> None:
    names = store.add_texts(["same"] * 3) + store.add_texts(["same"])
    assert len(set(names)) == len(store) == 4


def test_duplicates_in_a_batch(store: UniSemVectorStore) -> None:
    names = store.add_texts(["red", "blue", "green"], ids=["a", "b", "a"])
    assert names == ["a", "b", "a"]
    assert [(d.id, d.page_content) for d in everything(store)] == [("b", "blue"), ("a", "green")]
    assert [d.id for d in store.similarity_search("green", k=9)] == ["a", "b"]
    embeddings = store.embeddings
    assert isinstance(embeddings, WordEmbeddings)
    assert embeddings.texts == ["blue", "green"]


REFUSED: list[tuple[list[Any], dict[str, Any], type[Exception], str]] = [
    (["red", 3], {}, TypeError, r"texts\[1\] must be a string, not int"),
    (["red", "x"], {"metadatas": [{}]}, ValueError, "got 1 metadatas for 2 inputs"),
    (["red", "x"], {"metadatas": {"a": 1}}, TypeError, "metadatas must be a list, not dict"),
    (["red", "x"], {"ids": ["n"]}, ValueError, "got 1 ids for 2 inputs"),
    (["red", "x"], {"ids": "no"}, TypeError, "ids must be a list, not str"),
    (["red", "x"], {"ids": ["n", 3]}, RecordError, "id must be a string, not int"),
    (["red", "x"], {"ids": ["n", ""]}, RecordError, "id must not be empty"),
    (
        ["red", "x"],
        {"metadatas": [{}, {"size": {"bytes": b"x"}}]},
        RecordError,
        r"metadata\['size'\]\['bytes'\] is bytes, which is not JSON",
    ),
    (["red"], {"metadatas": [{"x": float("nan")}]}, RecordError, r"metadata\['x'\] is nan"),
    (["red"], {"metadatas": [{3: 1}]}, RecordError, "has the key 3; keys must be strings"),
    (["red"], {"metadatas": [{"x": {1, 2}}]}, RecordError, r"metadata\['x'\] is set"),
    (["red", "\ud800"], {}, RecordError, "not valid Unicode"),
    (["red", "x"], {"metadatas": [{}, "a"]}, TypeError, r"metadatas\[1\] must be a dictionary"),
    (["red"], {"metadatas": [""]}, TypeError, r"metadatas\[0\] must be a dictionary, not str"),
    (["red", "x"], {"metadatas": [{}, {"n": b"x"}]}, RecordError, r"texts\[1\]: .*metadata\['n'\]"),
    (["red"], {"metadata": [{}]}, TypeError, "unexpected keyword argument 'metadata'"),
]


@pytest.mark.parametrize(("texts", "options", "error", "message"), REFUSED)
def test_nothing_half_added(
    store: UniSemVectorStore,
    texts: list[Any],
    options: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    store.add_texts(["old"], ids=["n"])
    with pytest.raises(error, match=message):
        store.add_texts(texts, **options)
    assert [(d.id, d.page_content) for d in everything(store)] == [("n", "old")]


def test_documents_that_are_none(store: UniSemVectorStore) -> None:
    with pytest.raises(TypeError, match=r"documents\[1\] must be a Document, not str"):
        store.add_documents([Document("red"), "blue"])
    for one in (Document("red"), "red"):
        with pytest.raises(TypeError, match=r"pass a list of documents, for example \[document\]"):
            store.add_documents(one)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="pass a list of texts"):
        store.add_texts("red")
    with pytest.raises(RecordError, match=r"documents\[1\]: .*metadata\['n'\]"):
        store.add_documents([Document("red"), Document("blue", metadata={"n": b"x"})])
    with pytest.raises(ValueError, match="got 2 ids for 1 inputs"):
        store.add_documents([Document("red")], ids=["a", "b"])
    assert len(store) == 0


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([0.0, 0.0], "zero or not finite for text 1 of 2"),
        ([float("inf"), 1.0], "zero or not finite"),
        ([float("nan"), 1.0], "zero or not finite"),
        ([1.0, 2.0, 3.0], r"lengths are \[2, 3\]"),
        ([], r"lengths are \[0, 2\]"),
    ],
)
def test_embeddings_that_fail_add_nothing(bad: list[float], message: str) -> None:
    embeddings = FixedEmbeddings({"good": [3.0, 4.0], "bad": bad})
    store = UniSemVectorStore.from_texts(["good"], embeddings, ids=["a"])
    with pytest.raises(EncoderError, match=message):
        store.add_texts(["good", "bad"])
    assert [document.id for document in everything(store)] == ["a"]
    with pytest.raises(EncoderError):
        store.similarity_search("bad")


def test_wrong_dimension() -> None:
    embeddings = FixedEmbeddings({"two": [1.0, 0.0], "three": [1.0, 0.0, 0.0]})
    store = UniSemVectorStore.from_texts(["two"], embeddings)
    with pytest.raises(EncoderError, match="vectors of dimension 3, and others of dimension 2"):
        store.add_texts(["three"])
    with pytest.raises(StoreError, match="dimension 3"):
        store.similarity_search_by_vector([1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="zero or not finite"):
        store.similarity_search_by_vector([0.0, 0.0])
    assert len(store) == 1


def test_update_by_adding_again(store: UniSemVectorStore) -> None:
    store.add_documents([Document("red", id="a", metadata={"n": 1}), Document("blue", id="b")])
    store.add_documents([Document("green", id="a", metadata={"m": 2})])
    assert store.get_by_ids(["a"]) == [Document("green", id="a", metadata={"m": 2})]
    assert store.similarity_search("red", filter={"n": 1}) == []
    assert len(store) == 2


def test_get_by_ids(store: UniSemVectorStore) -> None:
    store.add_texts(["red", "blue"], ids=["a", "b"])
    assert [d.id for d in store.get_by_ids(["b", "nobody", "a", "b"])] == ["b", "a"]
    assert store.get_by_ids([]) == store.get_by_ids(("nobody",)) == []
    with pytest.raises(TypeError, match="pass a list of ids"):
        store.get_by_ids("ab")


def test_delete(store: UniSemVectorStore) -> None:
    years = [1999, 2005, 2020, 2021]
    store.add_texts(["red"] * 4, [{"year": year} for year in years], ids=list("abcd"))
    assert store.delete([]) is True
    assert len(store) == 4
    assert store.delete(["a", "b"], filter={"year": {"$lt": 2000}}) is True
    assert [d.id for d in everything(store)] == ["b", "c", "d"]
    assert store.delete(["b", "c"], filter=lambda d: d.metadata["year"] > 2010) is True
    assert [d.id for d in everything(store)] == ["b", "d"]
    assert store.delete(filter=Field("year") == 2005) is True
    assert [d.id for d in everything(store)] == ["d"]
    assert store.delete(filter=lambda d: False) is True
    assert len(store) == 1
    for bad in ({"where": {"year": 1}}, {"delete_all": True}):
        with pytest.raises(TypeError, match="unexpected keyword"):
            store.delete(**bad)
    with pytest.raises(TypeError, match="pass a list of ids"):
        store.delete("d")
    assert len(store) == 1
    assert store.delete() is True  # LangChain's interface: without ids, everything
    assert len(store) == 0
    assert store.delete(None) is True
    assert store.add_texts(["red"]) != []


def test_metadata_as_it_was(store: UniSemVectorStore) -> None:
    metadata = {
        "id": 1,
        "relevance_score": "mine",
        "unisem": [None, True, 1.5, {"ä": ""}],
        "big": 2**60,
        "": 0,
    }
    store.add_texts(["red"], [metadata], ids=["x"])
    for found in (
        store.similarity_search("red"),
        store.get_by_ids(["x"]),
        store.max_marginal_relevance_search("red"),
        store.as_retriever().invoke("red"),
        store.search("red", "keyword"),
    ):
        assert found == [Document("red", id="x", metadata=metadata)]
        assert type(found[0].metadata["id"]) is int


def test_pictures(card_space: SemanticSpace, cards: Path) -> None:
    store = UniSemVectorStore(space=card_space)
    before = len(store)
    names = store.add_images(
        (picture for picture in (cards / "red.png", encoded(solid("blue")), solid("green"))),
        captions=["my red", None, ""],
        metadatas=[{"n": 1}, None, {}],
        ids=["r", None, "g"],
    )
    assert len(store) == before + 3
    assert names[::2] == ["r", "g"]
    record = card_space.get(["r"])[0]
    assert record is not None
    assert record.image is not None
    (document,) = store.get_by_ids(["r"])
    which = {
        "id": "r",
        "modality": "image",
        "mime_type": "image/png",
        "sha256": record.image.sha256,
        "width": 40,
        "height": 30,
    }
    assert document == Document("my red", id="r", metadata={"n": 1, "unisem": which})
    assert record.image.path == (cards / "red.png").resolve()
    blocks = format_documents(store.get_by_ids(["r"]), space=store.space)
    assert [block["type"] for block in blocks] == ["text", "text", "image"]
    with pytest.raises(ImageError, match="does not exist"):
        store.add_images([cards / "red.png", cards / "gone.png"])
    with pytest.raises(ImageError, match="fetches nothing"):
        store.add_images(["http://127.0.0.1:9/x.png"])
    with pytest.raises(TypeError, match="pass a list of pictures"):
        store.add_images(str(cards / "red.png"))
    with pytest.raises(ValueError, match="got 1 captions for 2 inputs"):
        store.add_images([solid("red"), solid("blue")], captions=["x"])
    assert len(store) == before + 3


def test_another_caption_is_fused_anew(tmp_path: Path) -> None:
    encoder = FusingToyEncoder()
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder, copy_images=True) as space:
        store = UniSemVectorStore(space=space)
        store.add_images([solid("red")], captions=["a blue sea"], ids=["r"])
        before = space.store.vectors(["r"])[0] or {}
        (document,) = store.get_by_ids(["r"])
        document.page_content = "a red card"
        store.add_documents([document])
        after = space.store.vectors(["r"])[0] or {}
        np.testing.assert_array_equal(after["image"], before["image"])
        (wanted,) = encoder.encode_pairs(["a red card"], [solid("red")])
        np.testing.assert_allclose(after["both"], wanted, atol=1e-6)
        document.page_content = ""
        store.add_documents([document])
        assert (space.store.vectors(["r"])[0] or {}).keys() == {"image"}


def test_text_embeddings_take_no_pictures(store: UniSemVectorStore) -> None:
    for act in (store.add_images, lambda images: store.similarity_search_by_image(images[0])):
        with pytest.raises(EncoderError, match="WordEmbeddings embeds no pictures: it has no"):
            act([solid("red")])
    assert len(store) == 0
