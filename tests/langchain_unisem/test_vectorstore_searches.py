"""Searches of a `UniSemVectorStore` against a brute-force ranking."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStoreRetriever
from pydantic import ValidationError

from langchain_unisem import ImageQuery, UniSemVectorStore
from tests.support.pictures import encoded, solid
from tests.support.text_embeddings import WordEmbeddings
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import EncoderError, FilterError, ImageError

TEXTS = [f"{colour} {thing}" for colour in ("red", "blue", "green") for thing in ("car", "hat")]


def ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


@pytest.fixture
def full(store: UniSemVectorStore) -> UniSemVectorStore:
    store.add_texts(TEXTS, [{"n": n} for n in range(6)], ids=TEXTS)
    return store


@pytest.fixture
def card_store(card_space: SemanticSpace) -> UniSemVectorStore:
    return UniSemVectorStore(space=card_space)


def cosines(query: str) -> list[tuple[str, float]]:
    embeddings = WordEmbeddings()
    vectors = {text: np.array(embeddings.embed_query(text)) for text in (*TEXTS, query)}
    rows = {text: vector / np.linalg.norm(vector) for text, vector in vectors.items()}
    return sorted(
        ((text, float(rows[text] @ rows[query])) for text in TEXTS), key=lambda pair: -pair[1]
    )


@pytest.mark.parametrize("k", [0, 1, 3, 6, 99])
async def test_k_and_scores(full: UniSemVectorStore, k: int) -> None:
    query = "a red hat"
    expected = cosines(query)[:k]
    vector = WordEmbeddings().embed_query(query)
    for documents in (
        full.similarity_search(query, k),
        await full.asimilarity_search(query, k=k),
        full.similarity_search_by_vector(vector, k),
        await full.asimilarity_search_by_vector(vector, k=k),
        full.as_retriever(search_kwargs={"k": k}).invoke(query),
        full.max_marginal_relevance_search(query, k, lambda_mult=1.0),
    ):
        assert ids(documents) == [text for text, _ in expected]
    for scored in (
        full.similarity_search_with_score(query, k),
        await full.asimilarity_search_with_score(query, k),
        full.similarity_search_with_score_by_vector(vector, k=k),
        await full.asimilarity_search_with_score_by_vector(vector, k),
    ):
        assert ids([document for document, _ in scored]) == [text for text, _ in expected]
        assert [score for _, score in scored] == pytest.approx([score for _, score in expected])
    relevances = full.similarity_search_with_relevance_scores(query, k)
    assert [score for _, score in relevances] == pytest.approx(
        [(1 + score) / 2 for _, score in expected]
    )
    assert await full.asimilarity_search_with_relevance_scores(query, k) == relevances


def test_relevance_is_what_langchain_is_told(full: UniSemVectorStore) -> None:
    relevance = full._select_relevance_score_fn()
    assert [relevance(score) for score in (-1, 0, 1)] == [0.0, 0.5, 1.0]
    scored = full.similarity_search_with_score("red", 6)
    told = full.similarity_search_with_relevance_scores("red", 6)
    assert [relevance(score) for _, score in scored] == [score for _, score in told]


async def test_threshold(full: UniSemVectorStore) -> None:
    every = full.similarity_search_with_relevance_scores("red car", 6)
    for count, (_, least) in enumerate(every, 1):  # the one at the threshold is in
        found = full.similarity_search_with_relevance_scores("red car", 6, score_threshold=least)
        assert found == every[:count]
        retriever = full.as_retriever(
            search_type="similarity_score_threshold",
            search_kwargs={"k": 6, "score_threshold": least},
        )
        assert retriever.invoke("red car") == [document for document, _ in every[:count]]
        assert await retriever.ainvoke("red car") == [document for document, _ in every[:count]]
        assert len(full.similarity_search("red car", 6, score_threshold=least)) == count
        chosen = full.max_marginal_relevance_search("red car", 6, score_threshold=least)
        assert len(chosen) == count
    for threshold in (1, 0):  # a whole number is a number
        retriever = full.as_retriever(
            search_type="similarity_score_threshold",
            search_kwargs={"k": 9, "score_threshold": threshold},
        )
        assert len(retriever.invoke("nothing")) == (0 if threshold else 6)


def test_mmr_is_diverse(store: UniSemVectorStore) -> None:
    store.add_texts(["red car", "red car car", "red car red", "blue hat"], ids=list("abcd"))
    assert set(ids(store.similarity_search("red car", 3))) == set("abc")
    assert ids(store.max_marginal_relevance_search("red car", 2, lambda_mult=0.1)) == ["a", "d"]
    assert ids(store.max_marginal_relevance_search("red car", 1, fetch_k=1)) == ["a"]
    assert len(store.max_marginal_relevance_search("red car", 3, fetch_k=1)) == 3
    assert store.max_marginal_relevance_search("red car", 0) == []
    assert len(store.max_marginal_relevance_search("red car", 99)) == 4


async def test_keyword_and_hybrid(full: UniSemVectorStore) -> None:
    for kind in ("keyword", "hybrid"):
        found = full.search("hat", kind, k=3)
        assert {document.page_content.split()[1] for document in found} == {"hat"}
        assert await full.asearch("hat", kind, k=3) == found
        assert full.similarity_search("hat", 3, mode=kind) == found
        retriever = full.as_retriever(search_type=kind, search_kwargs={"k": 3})
        assert retriever.invoke("hat") == await retriever.ainvoke("hat") == found
        assert ids(retriever.invoke("hat", filter={"n": 1})) == ["red hat"] or kind == "hybrid"
        assert retriever.invoke("hat", mode="vector") == full.similarity_search("hat", 3)
        scored = full.similarity_search_with_score("hat", 3, mode=kind)
        assert all(type(score) is float and score > 0 for _, score in scored)
        with pytest.raises(ValueError, match='only mode "vector" has relevance'):
            full.similarity_search_with_relevance_scores("hat", mode=kind)
        with pytest.raises(ValueError, match='only mode "vector" has'):
            full.similarity_search("hat", mode=kind, score_threshold=0.5)
    assert full.search("nowhere", "keyword") == []
    assert len(full.search("hat", "similarity", k=2)) == 2
    assert len(full.search("hat", "mmr", k=2)) == 2
    assert full.search("red hat", "similarity_score_threshold", score_threshold=0.999) != []
    with pytest.raises(ValueError, match='"keyword", "hybrid", not \'fuzzy\''):
        full.search("hat", "fuzzy")


@pytest.mark.parametrize("kind", ["path", "bytes", "pil"])
async def test_by_picture(card_store: UniSemVectorStore, tmp_path: Path, kind: str) -> None:
    picture = solid("blue", (21, 20))
    picture.save(tmp_path / "query.png")
    image: Any = {"path": str(tmp_path / "query.png"), "bytes": encoded(picture), "pil": picture}[
        kind
    ]
    space = card_store.space
    expected = [hit.record.id for hit in space.search(image=picture, k=4)]
    assert expected[0] == "cards/blue.png"
    mixed = [hit.record.id for hit in space.search("red", picture, k=4, text_weight=0.9)]
    assert mixed[0] == "cards/red.png"
    retriever = card_store.as_retriever()
    for found in (
        card_store.similarity_search_by_image(image),
        await card_store.asimilarity_search_by_image(image),
        card_store.similarity_search(ImageQuery(image)),
        card_store.similarity_search("", image=image),
        card_store.search(ImageQuery(image), "similarity"),
        retriever.invoke(ImageQuery(image)),
        await retriever.ainvoke(ImageQuery(image)),
        card_store.similarity_search_by_vector(space.encoder.encode_images([picture])[0].tolist()),
        [document for document, _ in card_store.similarity_search_with_score(ImageQuery(image))],
    ):
        assert ids(found) == expected
    for found in (
        card_store.similarity_search_by_image(image, text="red", text_weight=0.9),
        await card_store.asimilarity_search_by_image(image, text="red", text_weight=0.9),
        card_store.similarity_search(ImageQuery(image, "red"), text_weight=0.9),
        card_store.similarity_search("red", image=image, text_weight=0.9),
        retriever.invoke(ImageQuery(image, "red"), text_weight=0.9),
    ):
        assert ids(found) == mixed
    assert ids(card_store.max_marginal_relevance_search(ImageQuery(image), 1)) == expected[:1]
    assert len(card_store.similarity_search_by_image(image, 2, modality="text")) == 1


def test_a_string_is_never_opened(card_store: UniSemVectorStore, cards: Path) -> None:
    encoder: Any = card_store.space.encoder
    before = encoder.images_encoded
    for text in (str(cards / "red.png"), f"file://{cards}/red.png", "http://127.0.0.1:9/a.png"):
        card_store.similarity_search(text)
        card_store.max_marginal_relevance_search(text)
        card_store.as_retriever().invoke(text)
    assert encoder.images_encoded == before
    with pytest.raises(ImageError, match="fetches nothing"):
        card_store.similarity_search_by_image("http://127.0.0.1:9/a.png")
    with pytest.raises(ImageError, match="does not exist"):
        card_store.similarity_search_by_image(cards / "gone.png")


def test_modality_and_match(card_store: UniSemVectorStore) -> None:
    assert ids(card_store.similarity_search("red", 50, modality="text")) == ["cards/about.txt"]
    pictures = card_store.similarity_search("red", 50, modality="image")
    assert len(pictures) == len(card_store) - 1
    assert len(card_store.similarity_search("red", 50, match="image")) == len(pictures)


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"filters": {}}, TypeError, "unknown search option filters; known are k, filter"),
    ({"k": -1}, ValueError, "k must be a whole number"),
    ({"k": 2.0}, ValueError, "k must be a whole number"),
    ({"modality": "video"}, ValueError, "modality must be"),
    ({"match": "sound"}, ValueError, "match must be"),
    ({"mode": "fuzzy"}, ValueError, "mode"),
    ({"text_weight": 2}, ValueError, "text_weight must be between 0 and 1, not 2"),
    ({"text_weight": "x"}, ValueError, "text_weight must be a number from 0 to 1, not 'x'"),
    ({"text_weight": None}, ValueError, "text_weight must be a number from 0 to 1, not None"),
    ({"filter": {"n": {"$regex": "x"}}}, FilterError, "unknown filter operator"),
    ({"filter": "n > 3"}, FilterError, "must be a dictionary"),
    ({"score_threshold": 1.5}, ValueError, "between 0 and 1, not 1.5"),
    ({"score_threshold": "0.5"}, ValueError, "must be a number from 0 to 1"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD)
async def test_bad_options(
    full: UniSemVectorStore, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    retriever = full.as_retriever(search_kwargs=options)
    with pytest.raises(error, match=message):
        full.similarity_search("red", **options)
    with pytest.raises(error, match=message):
        full.max_marginal_relevance_search("red", **options)
    with pytest.raises(error, match=message):
        await full.asimilarity_search_with_relevance_scores("red", **options)
    with pytest.raises(error, match=message):
        retriever.invoke("red")
    with pytest.raises(error, match=message):
        await retriever.ainvoke("red")


def test_bad_queries(full: UniSemVectorStore) -> None:
    for query in (None, 3, Path("x.png"), {"text": "red"}):
        with pytest.raises(TypeError, match="ImageQuery for a picture"):
            full.similarity_search(query)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="ImageQuery for a picture"):
            full.as_retriever().invoke(query)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="give a vector or an image"):
        full.similarity_search_by_vector([1.0] * 24, image=solid("red"))
    with pytest.raises(EncoderError, match="embeds no pictures"):
        full.similarity_search(ImageQuery(solid("red")))
    for balance in (-0.1, 1.1, None, "x", True):
        with pytest.raises(ValueError, match=f"lambda_mult must be .* 1, not {balance!r}"):
            full.max_marginal_relevance_search("red", lambda_mult=balance)  # type: ignore[arg-type]


@pytest.mark.parametrize("vector", ["red", None, {}, [[1.0] * 24], 1.0, ["a"] * 24])
def test_vectors_that_are_none(full: UniSemVectorStore, vector: Any) -> None:
    for search in (
        full.similarity_search_by_vector,
        full.similarity_search_with_score_by_vector,
        full.max_marginal_relevance_search_by_vector,
    ):
        with pytest.raises(ValueError, match="a list of numbers, as embed_query returns"):
            search(vector)


async def test_retriever(full: UniSemVectorStore) -> None:
    retriever = full.as_retriever(search_kwargs={"k": 2, "filter": {"n": {"$lt": 4}}})
    assert isinstance(retriever, VectorStoreRetriever)
    assert retriever.tags == ["UniSemVectorStore", "WordEmbeddings"]
    assert full.as_retriever(tags=["mine"]).tags == ["mine"]
    assert len(retriever.invoke("red")) == 2
    assert len(retriever.invoke("red", k=3)) == len(await retriever.ainvoke("red", k=3)) == 3
    assert [len(found) for found in retriever.batch(["red", "hat"], k=1)] == [1, 1]
    keyword = full.as_retriever(search_type="keyword").invoke("hat")
    assert keyword == full.as_retriever().invoke("hat", search_type="keyword")
    assert keyword == await full.as_retriever().ainvoke("hat", search_type="keyword")
    assert len(keyword) < len(
        full.as_retriever(search_type="keyword").invoke("hat", search_type="mmr")
    )
    assert [len(found) for found in await retriever.abatch(["red", "hat"])] == [2, 2]
    assert retriever.add_documents([Document("red red", id="new", metadata={"n": 0})]) == ["new"]
    params = retriever._get_ls_params()
    assert params["ls_vector_store_provider"] == "UniSemVectorStore"
    assert params["ls_embedding_provider"] == "WordEmbeddings"
    assert params["ls_embedding_model"] == "WordEmbeddings"
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        full.as_retriever(k=1)  # LangChain's own would ignore it
    with pytest.raises(ValidationError, match="search_type of fuzzy not allowed"):
        full.as_retriever(search_type="fuzzy")
    with pytest.raises(ValidationError, match="score_threshold"):
        full.as_retriever(search_type="similarity_score_threshold")


async def test_searches_run_side_by_side(
    full: UniSemVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = SemanticSpace.search_query
    together = threading.Barrier(3)  # two searches and the event loop

    def slow(self: SemanticSpace, query: Any) -> Any:
        together.wait(60)
        return original(self, query)

    monkeypatch.setattr(SemanticSpace, "search_query", slow)
    searches = full.asimilarity_search("red car", k=1), full.as_retriever().ainvoke("blue hat")
    task = asyncio.gather(*searches)
    while together.n_waiting < 2 and not task.done():
        await asyncio.sleep(0.01)
    together.wait(60)
    assert [found[0].page_content for found in await task] == ["red car", "blue hat"]


def test_documents_name_the_copies_that_made_way() -> None:
    red = encoded(solid("red"))
    with SemanticSpace.open(None, encoder=ToyEncoder()) as space:
        space.add([Record(id=name, text="red", image=red, metadata={"n": 1}) for name in "ab"])
        space.add([Record(id="c", text="a red one")])
        store = UniSemVectorStore(space=space)
        for found in (
            store.similarity_search("red", k=2),
            [document for document, _ in store.similarity_search_with_score("red", k=2)],
        ):
            assert ids(found) == ["a", "c"]
            assert found[0].metadata["unisem"]["copies"] == ["b"]
            assert "unisem" not in found[1].metadata
        (alone,) = store.get_by_ids(["a"])
        assert "copies" not in alone.metadata["unisem"]
        store.add_documents(found)
        assert space.get(["a"])[0].metadata == {"n": 1}  # type: ignore[union-attr]
