"""Least score, reranker and neighbours in `UniSemIndex.as_retriever`: as in a `UniSemRetriever`."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.llms import MockLLM
from llama_index.core.schema import (
    BaseNode,
    ImageNode,
    MetadataMode,
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)

from llama_index_unisem import UniSemEmbedding, UniSemIndex, UniSemReranker, UniSemRetriever
from tests.support.rerankers import ColourReranker
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.filters import Field
from unisem.images.for_models import ImageLimits
from unisem.search.fusion import WeightedFusion
from unisem.search.query import Query


def steps(cards: Path) -> list[BaseNode]:
    """A manual: each step's text, then its picture."""
    nodes: list[BaseNode] = []
    for colour in ("red", "green", "blue", "yellow"):
        nodes.append(TextNode(id_=f"{colour} step", text=f"take the {colour} card"))
        path = str(cards / f"{colour}.png")
        nodes.append(ImageNode(id_=f"{colour} picture", image_path=path))
    for node in nodes:
        node.metadata["year"] = 2024
        node.excluded_embed_metadata_keys.append("year")
    for first, second in pairwise(nodes):
        first.relationships[NodeRelationship.NEXT] = RelatedNodeInfo(node_id=second.node_id)
        second.relationships[NodeRelationship.PREVIOUS] = RelatedNodeInfo(node_id=first.node_id)
    return nodes


@pytest.fixture
def index(embedding: UniSemEmbedding, cards: Path) -> UniSemIndex:
    return UniSemIndex(steps(cards), embed_model=embedding)


def pairs(hits: list[NodeWithScore]) -> list[tuple[str, float | None]]:
    return [(hit.node_id, hit.score) for hit in hits]


async def found(retriever: Any, query: Any) -> list[tuple[str, float | None]]:
    """Ids and scores, the same sync and async."""
    results = pairs(retriever.retrieve(query))
    assert pairs(await retriever.aretrieve(query)) == results
    return results


async def test_a_step_comes_with_its_picture(index: UniSemIndex) -> None:
    query = "take the green card"
    (plain,) = await found(index.as_retriever(similarity_top_k=1, modality="text"), query)
    around = await found(
        index.as_retriever(similarity_top_k=1, modality="text", neighbors=1), query
    )
    assert plain[0] == "green step"
    assert [name for name, _ in around] == ["red picture", "green step", "green picture"]
    assert {score for _, score in around} == {plain[1]}


async def test_restrictions_hold_for_neighbours(index: UniSemIndex) -> None:
    query = "take the green card"
    options: dict[str, Any] = {"similarity_top_k": 1, "modality": "text", "neighbors": 2}
    named = ["green step", "green picture", "blue step"]
    assert [
        name for name, _ in await found(index.as_retriever(node_ids=named, **options), query)
    ] == named
    nothing = index.as_retriever(filters=Field("year") == 1, **options)
    assert await found(nothing, query) == []
    for restriction in ({"node_ids": []}, {"doc_ids": []}, {"filters": Field("year") == 2024}):
        assert len(await found(index.as_retriever(**restriction, **options), query)) == 5


def test_neighbours_reach_the_model_and_count_towards_the_limits(
    index: UniSemIndex,
) -> None:
    engine = index.as_query_engine(
        llm=MockLLM(), similarity_top_k=1, modality="text", neighbors=1, image_limits=ImageLimits(1)
    )
    hits = engine.query("take the green card").source_nodes
    blocks = [
        [type(block).__name__ for block in hit.node.get_content_blocks(MetadataMode.LLM)]
        for hit in hits
        if isinstance(hit.node, ImageNode)
    ]
    assert blocks == [["UniSemImageBlock", "CaptionBlock"], ["TextBlock"]]


@pytest.mark.parametrize("mode", ["default", "hybrid"])
async def test_a_reranker_orders_the_candidates_anew(index: UniSemIndex, mode: str) -> None:
    reranker = ColourReranker()
    retriever = index.as_retriever(
        similarity_top_k=3, vector_store_query_mode=mode, reranker=reranker, fetch_k=8
    )
    query = "blue picture of a yellow card"
    candidates = index.as_retriever(similarity_top_k=8, vector_store_query_mode=mode)
    expected = UniSemReranker(reranker=ColourReranker(), top_n=3).postprocess_nodes(
        candidates.retrieve(query), query_str=query
    )
    assert await found(retriever, query) == pairs(expected)
    text, image, records = reranker.asked[0]
    assert (text, image, len(records)) == (query, None, 8)


async def test_the_rerankers_work_is_observed(index: UniSemIndex, events: Any) -> None:
    await index.as_retriever(reranker=ColourReranker()).aretrieve("red")
    (start,), (end,) = events.named("ReRankStartEvent"), events.named("ReRankEndEvent")
    assert (start.model_name, start.top_n, len(end.nodes)) == ("colours", 2, 8)


async def test_a_least_score(index: UniSemIndex) -> None:
    everything = await found(index.as_retriever(similarity_top_k=8), "red")
    least = everything[2][1]
    assert least is not None
    for k in (2, 8):
        cut = index.as_retriever(similarity_top_k=k, min_score=least)
        assert await found(cut, "red") == everything[: min(k, 3)]
    assert await found(index.as_retriever(min_score=1.0), "red") == []


MODES: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (  # the retriever's, the index's
    ({}, {}),
    ({"mode": "hybrid"}, {"vector_store_query_mode": "hybrid"}),
    (
        {"mode": "hybrid", "fusion": WeightedFusion(0.3)},
        {"vector_store_query_mode": "semantic_hybrid", "alpha": 0.3},
    ),
    ({"diversity": 0.5}, {"vector_store_query_mode": "mmr"}),
    (
        {"diversity": 0.25},
        {"vector_store_query_mode": "mmr", "vector_store_kwargs": {"mmr_threshold": 0.75}},
    ),
)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"min_score": 0.1},
        {"neighbors": 1},
        {"reranker": ColourReranker()},
        {"reranker": ColourReranker(), "fetch_k": 3, "neighbors": 2, "min_score": 0.05},
        {"modality": "image", "text_weight": 0.3},
    ],
)
async def test_over_a_space_it_is_what_a_retriever_of_the_space_finds(
    space: SemanticSpace, cards: Path, options: dict[str, Any], mode: Any
) -> None:
    """The same ids, scores and order, to the bit, whatever the question is made of."""
    index = UniSemIndex(steps(cards), space=space)
    other = UniSemRetriever(space=space, similarity_top_k=2, **options, **mode[0])
    red, strings = str(cards / "red.png"), ["a yellow card", "take green"]
    vector = space.embed_query(Query(text="blue")).tolist()
    for query in (
        "take the green card",
        "a yellow picture",
        QueryBundle("in blue", image_path=red),
        QueryBundle("", image_path=red),
        QueryBundle("in blue", custom_embedding_strs=strings),
        QueryBundle("in blue", image_path=red, custom_embedding_strs=strings),
        QueryBundle("in blue", image_path=red, embedding=vector),
    ):
        retriever = index.as_retriever(similarity_top_k=2, **options, **mode[1])
        results = await found(retriever, query)
        assert results == await found(other, query)
        assert results
    retriever.similarity_top_k = 0
    assert retriever.retrieve("red") == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"neighbors": -1}, ValueError, "neighbors must be a whole number of at least 0"),
        ({"neighbors": True}, ValueError, "neighbors must be"),
        ({"fetch_k": 0}, ValueError, "fetch_k must be a whole number of at least 1"),
        ({"min_score": 2}, ValueError, "min_score must be between"),
        ({"min_score": float("nan")}, ValueError, "min_score must be between"),
        (
            {"reranker": "models/x"},
            TypeError,
            "reranker must be a unisem.rerank.Reranker, not str",
        ),
        (
            {"min_score": 0.1, "vector_store_query_mode": "text_search"},
            ValueError,
            'min_score is a cosine, and mode "keyword" has none',
        ),
        ({"mode": "hybrid"}, ValueError, "use vector_store_query_mode="),
        ({"diversity": 0.3}, ValueError, "mmr_threshold"),
        ({"fusion": object()}, ValueError, "alpha="),
        ({"match": "text"}, ValueError, r"vector_store.view"),
    ],
)
def test_bad_options_are_named(
    index: UniSemIndex, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        index.as_retriever(**options)


async def test_a_reranker_needs_a_question(index: UniSemIndex, encoder: ToyEncoder) -> None:
    vector = encoder.encode_texts(["red"], role="query")[0].tolist()
    retriever = index.as_retriever(reranker=ColourReranker())
    with pytest.raises(ValueError, match="has an embedding only"):
        retriever.retrieve(QueryBundle("", embedding=vector))
    assert await found(retriever, QueryBundle("red", embedding=vector))


async def test_hybrid_candidates_are_those_of_a_space(space: SemanticSpace) -> None:
    rng = np.random.default_rng(0)
    words = ["red", "blue", "old", "new", "thick", "thin", "torn", "bent", "card", "note"]
    space.add(
        [
            Record(id=f"{n:03}", text=f"card {n} " + " ".join(rng.choice(words, n % 6)))
            for n in range(150)
        ]
    )
    question = "red old card 3"
    for fetch_k in (None, 7):
        judges = [ColourReranker(), ColourReranker(), ColourReranker()]
        hits = space.search(question, k=5, mode="hybrid", fetch_k=fetch_k, reranker=judges[0])
        one = UniSemRetriever(
            space, similarity_top_k=5, mode="hybrid", fetch_k=fetch_k, reranker=judges[1]
        )
        two = UniSemIndex(space=space).as_retriever(
            similarity_top_k=5,
            vector_store_query_mode="hybrid",
            fetch_k=fetch_k,
            reranker=judges[2],
        )
        wanted = [(hit.record.id, hit.score) for hit in hits]
        assert pairs(one.retrieve(question)) == pairs(two.retrieve(question)) == wanted
        assert len({len(judge.asked[0][2]) for judge in judges}) == 1


def test_a_setting_that_is_changed_counts(card_space: SemanticSpace) -> None:
    year = Field("year") == 1
    for retriever in (
        UniSemRetriever(card_space, similarity_top_k=1),
        UniSemIndex(space=card_space).as_retriever(similarity_top_k=1),
    ):
        retriever.similarity_top_k = 3  # type: ignore[misc]
        assert len(retriever.retrieve("card")) == 3
        retriever.modality = "image"
        assert all(isinstance(hit.node, ImageNode) for hit in retriever.retrieve("card"))
        retriever.filters = year
        assert (retriever.filters, retriever.retrieve("card")) == (year, [])
        retriever.filters, retriever.min_score = None, 1.0
        assert retriever.retrieve("card") == []
        with pytest.raises(ValueError, match="filters must be"):
            retriever.filters = {"year": 1}
        with pytest.raises(AttributeError, match="no setting 'filter'"):
            retriever.filter = year
