"""`UniSemRetriever`'s types of search, its reranker and its filters, and the store's retriever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.structured_query import Comparator, Comparison
from langchain_core.vectorstores.utils import maximal_marginal_relevance
from pydantic import ValidationError

from langchain_unisem import ImageQuery, UniSemRetriever, UniSemVectorStore
from tests.support.length_reranker import LengthReranker
from tests.support.pictures import solid
from unisem import Record, SemanticSpace
from unisem.filters import Field
from unisem.search.fusion import WeightedFusion

WORDS = ["red", "paper", "card", "made", "of", "blue", "old", "torn"]


@pytest.fixture
def texts(space: SemanticSpace) -> SemanticSpace:
    """Forty texts of one to four words, and when they were written."""
    generator = np.random.default_rng(7)
    space.add(
        Record(
            id=f"{number:02}",
            text=" ".join(generator.choice(WORDS, generator.integers(1, 5))),
            metadata={"year": 1990 + number % 10},
        )
        for number in range(40)
    )
    return space


def ids(documents: Sequence[Document]) -> list[str | None]:
    return [document.id for document in documents]


async def both(retriever: UniSemRetriever, query: Any, **options: Any) -> list[Document]:
    """What it finds, by all ways of asking for it."""
    found = retriever.invoke(query, **options)
    assert found == await retriever.ainvoke(query, **options)
    assert found == retriever.batch([query], **options)[0]
    settings = {
        name: getattr(retriever, name)
        for name in type(retriever).model_fields
        if name not in ("name", "tags", "metadata")
    }
    if "image" not in options:
        made = UniSemRetriever(**(settings | options))
        assert found == made.invoke(query)
        assert found == await made.ainvoke(query)
    return found


async def test_varied_is_the_textbooks(texts: SemanticSpace) -> None:
    query = texts.encoder.encode_texts(["red paper"], "query")[0]
    every = list(texts.store.select())
    vectors = texts.encoder.encode_texts([record.text or "" for record in every])
    order = sorted(range(len(every)), key=lambda i: (-float(vectors[i] @ query), every[i].id))[:12]
    for weight in (0.2, 0.5, 0.9):
        chosen = maximal_marginal_relevance(
            query, [vectors[i] for i in order], lambda_mult=weight, k=5
        )
        found = await both(
            UniSemRetriever(space=texts, k=5),
            "red paper",
            search_type="mmr",
            fetch_k=12,
            lambda_mult=weight,
        )
        texts_found = [document.page_content for document in found]
        # Equal texts have equal vectors, of which either may be taken.
        assert texts_found == [every[order[i]].text for i in chosen]


async def test_threshold(texts: SemanticSpace) -> None:
    query = texts.encoder.encode_texts(["red paper"], "query")[0]
    retriever = UniSemRetriever(space=texts, k=100)
    for threshold in (0, 0.5, 0.7, 0.85):
        expected = {
            record.id
            for record in texts.store.select()
            if (1 + float(texts.encoder.encode_texts([record.text or ""])[0] @ query)) / 2
            >= threshold
        }
        found = await both(
            retriever,
            "red paper",
            search_type="similarity_score_threshold",
            score_threshold=threshold,
        )
        assert set(ids(found)) == expected
        plain = await both(retriever, "red paper", score_threshold=threshold)
        assert ids(plain) == ids(found)


async def test_keyword(texts: SemanticSpace) -> None:
    found = await both(UniSemRetriever(space=texts, k=100), "torn", search_type="keyword")
    assert set(ids(found)) == {r.id for r in texts.store.select() if "torn" in (r.text or "")}
    hits = texts.search(text="torn", mode="keyword", k=100)
    assert ids(found) == [hit.record.id for hit in hits]
    for document, hit in zip(found, hits, strict=True):
        assert "relevance_score" not in document.metadata, "BM25 is no relevance from 0 to 1"
        assert document.metadata["unisem"]["score"] == pytest.approx(hit.score)
        assert document.metadata["unisem"]["search_type"] == "keyword"


async def test_hybrid(texts: SemanticSpace) -> None:
    fusion = WeightedFusion(vector=0.8)
    for options in ({}, {"fusion": fusion}, {"fetch_k": 5}):
        found = await both(
            UniSemRetriever(space=texts, k=6), "red torn", search_type="hybrid", **options
        )
        hits = texts.search(text="red torn", mode="hybrid", k=6, **options)
        assert ids(found) == [hit.record.id for hit in hits]
        assert "relevance_score" not in found[0].metadata


async def test_reranker(texts: SemanticSpace) -> None:
    reranker = LengthReranker()
    retriever = UniSemRetriever(space=texts, k=3)
    nearest = texts.search(text="red paper", k=10)
    shortest = sorted((len(hit.record.text or ""), hit.record.id) for hit in nearest)[:3]
    found = await both(retriever, "red paper", reranker=reranker, fetch_k=10)
    assert ids(found) == [name for _, name in shortest]
    for document, (length, _) in zip(found, shortest, strict=True):
        assert document.metadata["relevance_score"] == -length
        assert type(document.metadata["relevance_score"]) is float
        assert document.metadata["unisem"]["reranker"] == "by-length"
    assert {count for _, _, count in reranker.asked} == {10}
    off = UniSemRetriever(space=texts, k=3, reranker=reranker).invoke("red paper", reranker=None)
    assert ids(off) == [hit.record.id for hit in nearest[:3]]
    assert "reranker" not in off[0].metadata["unisem"]


async def test_reranker_with_the_other_types(texts: SemanticSpace) -> None:
    reranker = LengthReranker()
    for search_type, mode in (("keyword", "keyword"), ("hybrid", "hybrid")):
        found = await both(
            UniSemRetriever(space=texts, k=3),
            "red",
            search_type=search_type,
            reranker=reranker,
        )
        hits = texts.search(text="red", k=3, mode=mode, reranker=reranker)  # type: ignore[arg-type]
        assert ids(found) == [hit.record.id for hit in hits]
        assert found[0].metadata["relevance_score"] == hits[0].score
    near = await both(
        UniSemRetriever(space=texts, k=100),
        "red paper",
        search_type="similarity_score_threshold",
        score_threshold=0.8,
        reranker=reranker,
    )
    plain = UniSemRetriever(space=texts, k=100).invoke("red paper", score_threshold=0.8)
    assert 0 < len(near) < 40
    assert set(ids(near)) == set(ids(plain)), "the threshold is held against the cosine"


def test_reranker_is_shown_the_querys_picture(card_space: SemanticSpace) -> None:
    reranker = LengthReranker()
    retriever = UniSemRetriever(space=card_space, reranker=reranker)
    retriever.invoke(ImageQuery(solid("red"), "card"))
    retriever.invoke(ImageQuery(solid("red")))
    assert [(text, image is None) for text, image, _ in reranker.asked] == [
        ("card", False),
        (None, False),
    ]


def late(document: Document) -> bool:
    return bool(document.metadata["year"] >= 1995)


FILTERS: list[Any] = [
    {"year": {"$gte": 1995}},
    Field("year") >= 1995,
    Comparison(comparator=Comparator.GTE, attribute="year", value=1995),
    late,
]


@pytest.mark.parametrize("search_type", ["similarity", "mmr", "keyword", "hybrid"])
async def test_filters_are_exact(texts: SemanticSpace, search_type: str) -> None:
    retriever = UniSemRetriever(space=texts, k=100, search_type=search_type)  # type: ignore[arg-type]
    everything = retriever.invoke("red paper")
    expected = {document.id for document in everything if late(document)}
    assert 0 < len(expected) < len(everything)
    for condition in FILTERS:
        found = await both(retriever, "red paper", filter=condition)
        assert set(ids(found)) == expected
        assert len(await both(retriever, "red paper", filter=condition, k=3)) == 3


async def test_a_function_and_a_modality(card_space: SemanticSpace) -> None:
    retriever = UniSemRetriever(space=card_space, k=50, modality="image")
    found = await both(retriever, "card", filter=lambda document: "red" in document.page_content)
    assert ids(found) == ["cards/red.png"]
    none = await both(retriever, "card", filter=lambda document: False)
    assert none == []


def test_a_function_may_spoil_its_copy(texts: SemanticSpace) -> None:
    def spoil(document: Document) -> bool:
        document.metadata.clear()
        return True

    found = UniSemRetriever(space=texts, filter=spoil).invoke("red")
    assert all(document.metadata.get("year") for document in found)


def test_records_are_looked_up_within_the_filter(card_space: SemanticSpace) -> None:
    wanted = ["cards/red.png", "nobody", "cards/about.txt", "cards/red.png", "cards/blue.png"]

    def found(**settings: Any) -> list[str | None]:
        records = UniSemRetriever(space=card_space, **settings).records(wanted)
        return [None if record is None else record.id for record in records]

    assert found() == [name if name != "nobody" else None for name in wanted]
    assert found(modality="text") == [None, None, "cards/about.txt", None, None]
    red = ["cards/red.png", None, None, "cards/red.png", None]
    assert found(filter={"file_name": "red.png"}) == red
    assert found(filter=Field("file_name") == "red.png") == red
    assert found(filter=lambda document: document.page_content == "a red card") == red


def test_own_metadata_of_the_scores_name(space: SemanticSpace) -> None:
    space.add([Record(id="a", text="red", metadata={"relevance_score": 9})])
    retriever = UniSemRetriever(space=space)
    assert retriever.invoke("red")[0].metadata["relevance_score"] == pytest.approx(1)
    assert "relevance_score" not in retriever.invoke("red", search_type="hybrid")[0].metadata


ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"search_type": "fuzzy"}, 'search_type must be one of "similarity", "mmr"'),
    ({"search_type": "similarity_score_threshold"}, "needs score_threshold"),
    ({"search_type": "hybrid", "score_threshold": 0.5}, 'search_type "hybrid" has no relevance'),
    ({"search_type": "keyword", "score_threshold": 0.5}, 'search_type "keyword" has no relevance'),
    ({"score_threshold": 1.5}, "score_threshold must be between 0 and 1"),
    ({"lambda_mult": 2}, "lambda_mult must be between 0 and 1, not 2"),
    ({"lambda_mult": "x"}, "lambda_mult must be a number from 0 to 1, not 'x'"),
    ({"fetch_k": 0, "search_type": "mmr"}, "fetch_k must be a whole number of at least 1"),
    ({"search_type": "keyword", "image": solid("red")}, 'mode "keyword" looks for text only'),
]


@pytest.mark.parametrize(("options", "message"), ERRORS)
async def test_bad_options(
    card_space: SemanticSpace, options: dict[str, Any], message: str
) -> None:
    retriever = UniSemRetriever(space=card_space)
    with pytest.raises(ValueError, match=message):
        retriever.invoke("red", **options)
    with pytest.raises(ValueError, match=message):
        await retriever.ainvoke("red", **options)
    if "image" not in options:
        with pytest.raises(ValidationError):
            UniSemRetriever(space=card_space, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reranker": "by-length"}, "instance of Reranker"),
        ({"fusion": "rrf"}, "instance of Fusion"),
    ],
)
def test_bad_parts(card_space: SemanticSpace, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        UniSemRetriever(space=card_space, **options)
    with pytest.raises(TypeError, match=r"must be a unisem\."):
        UniSemRetriever(space=card_space).invoke("red", **options)


AS_RETRIEVER: list[dict[str, Any]] = [
    {"search_type": "similarity"},
    {"search_type": "mmr", "fetch_k": 12, "lambda_mult": 0.3},
    {"search_type": "similarity_score_threshold", "score_threshold": 0.6},
    {"search_type": "keyword"},
    {"search_type": "hybrid"},
]


@pytest.mark.parametrize("options", AS_RETRIEVER)
@pytest.mark.parametrize("condition", [None, *FILTERS])
async def test_the_stores_retriever_finds_the_same(
    texts: SemanticSpace, options: dict[str, Any], condition: Any
) -> None:
    own = UniSemRetriever(space=texts, k=5, filter=condition, **options)
    rest = {name: value for name, value in options.items() if name != "search_type"}
    stores = UniSemVectorStore(space=texts).as_retriever(
        search_type=options["search_type"], search_kwargs={"k": 5, "filter": condition, **rest}
    )
    expected = ids(own.invoke("red paper"))
    assert expected
    assert ids(stores.invoke("red paper")) == expected
    assert ids(await stores.ainvoke("red paper")) == expected
    assert ids(stores.invoke("red paper", k=1)) == ids(own.invoke("red paper", k=1))
