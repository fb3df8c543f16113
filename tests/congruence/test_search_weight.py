"""Whoever asks, a reranker's score and the search's are mixed as the core mixes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from langchain_core.runnables import ConfigurableField
from llama_index.core.schema import NodeWithScore, TextNode

from langchain_unisem import UniSemReranker as DocumentReranker
from langchain_unisem import UniSemRetriever as DocumentRetriever
from llama_index_unisem import UniSemReranker as NodeReranker
from llama_index_unisem import UniSemRetriever as NodeRetriever
from tests.rerank.cross_modal.support import picture
from tests.support.matching_checkpoints import save_two_towers_of_tokens
from tests.support.rerankers import ColourReranker
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.search import RerankCalibration, Reranking
from unisem.service.http.app import create_app

QUERY = "a red tiger"
Found = list[tuple[str, Any]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A late-interaction model with a calibration that mixes."""
    directory = save_two_towers_of_tokens(tmp_path_factory.mktemp("judge"))
    RerankCalibration(judged=2, own=1.5, offset=-1).save(directory)
    return str(directory)


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SemanticSpace]:
    folder = tmp_path_factory.mktemp("mixed")
    with SemanticSpace.open(folder / "s.unisem", encoder=ToyEncoder()) as opened:
        records = [Record(id=text, text=text) for text in (QUERY, "a blue tiger", "snow")]
        for number, colour in enumerate(("red", "green", "blue")):
            picture(colour, 5 * number).save(folder / f"{colour}.png")
            records.append(Record(id=colour, image=folder / f"{colour}.png"))
        opened.add(records)
        yield opened


@pytest.mark.parametrize("weight", [None, 0.0, 0.3, 1.0])
def test_every_door_mixes_alike(space: SemanticSpace, model: str, weight: float | None) -> None:
    loaded = Reranking.load(model, search_weight=weight)
    assert (loaded.calibration is None) == (weight is not None)
    hits = space.search(QUERY, k=6, reranker=loaded)
    expected: Found = [(hit.record.id, pytest.approx(hit.score, abs=1e-5)) for hit in hits]
    documents = DocumentRetriever(space=space, k=6, reranker=loaded).invoke(QUERY)
    assert [(it.id, it.metadata["relevance_score"]) for it in documents] == expected
    plain = DocumentRetriever(space=space, k=6).invoke(QUERY)
    compressor = DocumentReranker(model=model, space=space, search_weight=weight)
    best = compressor.compress_documents(plain, QUERY)
    assert [(it.id, it.metadata["relevance_score"]) for it in best] == expected
    nodes = NodeRetriever(space=space, similarity_top_k=6).retrieve(QUERY)
    ranked = NodeReranker(model, space=space, search_weight=weight).postprocess_nodes(
        nodes, query_str=QUERY
    )
    assert [(it.node_id, it.score) for it in ranked] == expected
    client = TestClient(create_app({"s": space}, rerankers={"judge": Reranking.load(model)}))
    asked: dict[str, Any] = {"text": QUERY, "k": 6, "rerank": "judge"}
    if weight is not None:
        asked["search_weight"] = weight
    answer = client.post("/v1/spaces/s/search", json=asked).json()
    assert [(hit["record"]["id"], hit["score"]) for hit in answer["hits"]] == expected


@pytest.mark.parametrize("asked", ["keyword", "hybrid", "reranked"])
def test_only_cosines_are_mixed(space: SemanticSpace, model: str, asked: str) -> None:
    """Neither BM25, nor ranks, nor what a reranker of the search said."""
    earlier = ColourReranker() if asked == "reranked" else None
    words: Any = {"search_type": asked} if earlier is None else {"reranker": earlier}
    documents = DocumentRetriever(space=space, k=6, **words).invoke(QUERY)
    mode: Any = {"mode": asked} if earlier is None else {"reranker": earlier}
    nodes = NodeRetriever(space=space, similarity_top_k=6, **mode).retrieve(QUERY)
    loaded = Reranking.load(model).at(space.path)
    records = [hit.node_id for hit in nodes]
    expected = loaded.rank(QUERY, None, [it for it in space.get(records) if it is not None])
    alone: Found = [(records[it.position], pytest.approx(it.score, abs=1e-5)) for it in expected]
    best = DocumentReranker(model=model, space=space).compress_documents(documents, QUERY)
    assert [(it.id, it.metadata["relevance_score"]) for it in best] == alone
    ranked = NodeReranker(model, space=space).postprocess_nodes(nodes, query_str=QUERY)
    assert [(it.node_id, it.score) for it in ranked] == alone
    with pytest.raises(ValueError, match="search_weight mixes cosines"):
        DocumentReranker(model=model, space=space, search_weight=0.5).compress_documents(
            documents, QUERY
        )
    with pytest.raises(ValueError, match="search_weight mixes cosines"):
        NodeReranker(model, space=space, search_weight=0.5).postprocess_nodes(
            nodes, query_str=QUERY
        )


def test_after_another_step_the_searchs_score_is_mixed(space: SemanticSpace, model: str) -> None:
    nodes = NodeRetriever(space=space, similarity_top_k=6).retrieve(QUERY)
    for weight in (None, 0.3):
        reranker = NodeReranker(model, space=space, search_weight=weight)
        expected = reranker.postprocess_nodes(nodes, query_str=QUERY)
        again = [NodeWithScore(node=hit.node, score=float(n)) for n, hit in enumerate(nodes)]
        found = reranker.postprocess_nodes(again, query_str=QUERY)
        assert [(it.node_id, it.score) for it in found] == [
            (it.node_id, it.score) for it in expected
        ]
    foreign = [
        NodeWithScore(node=TextNode(id_=text, text=text), score=score)
        for text, score in ((QUERY, 0.1), ("snow", 9.0))
    ]
    alone = NodeReranker(model).postprocess_nodes(foreign, query_str=QUERY)
    unscored = [NodeWithScore(node=hit.node) for hit in foreign]
    assert alone == NodeReranker(model).postprocess_nodes(unscored, query_str=QUERY)
    mixed = NodeReranker(model, search_weight=1.0).postprocess_nodes(foreign, query_str=QUERY)
    assert [it.node_id for it in mixed] == ["snow", QUERY]


def test_a_weight_sets_a_damaged_calibration_aside(tmp_path: Path) -> None:
    directory = str(save_two_towers_of_tokens(tmp_path))
    (Path(directory) / "rerank_calibration.json").write_text("{")
    for made in (DocumentReranker, NodeReranker):
        made(model=directory, search_weight=0.5)
        with pytest.raises(ValueError, match=r"rerank_calibration\.json cannot be read"):
            made(model=directory)


def test_a_copy_without_a_weight_has_the_calibration(space: SemanticSpace, model: str) -> None:
    documents = DocumentRetriever(space=space, k=6).invoke(QUERY)
    plain, weighted = (DocumentReranker(model=model, search_weight=it) for it in (None, 1.0))
    made = weighted.configurable_fields(search_weight=ConfigurableField(id="share"))
    given = {"question": QUERY, "context": documents}
    assert made.invoke(given) == weighted.invoke(given) != plain.invoke(given)
    assert made.invoke(given, config={"configurable": {"share": None}}) == plain.invoke(given)


def test_the_ends_are_the_reranker_and_the_search(space: SemanticSpace, model: str) -> None:
    def order(weight: float) -> list[str]:
        loaded = Reranking.load(model, search_weight=weight)
        return [hit.record.id for hit in space.search(QUERY, k=6, reranker=loaded)]

    judged = Reranking.load(model).reranker
    alone = [hit.record.id for hit in space.search(QUERY, k=6, reranker=judged)]
    searched = [hit.record.id for hit in space.search(QUERY, k=6)]
    assert order(0.0) == alone != searched == order(1.0)


def test_documents_without_a_search_are_judged_by_the_model_alone(model: str) -> None:
    """Texts that nobody searched for have no score that could be mixed in."""
    client = TestClient(create_app({}, rerankers={"judge": Reranking.load(model)}))
    texts = [QUERY, "snow", "a blue tiger"]
    answer = client.post("/v1/rerank", json={"query": QUERY, "documents": texts}).json()
    scores = Reranking.load(model).reranker.score(
        QUERY, None, [Record(id=text, text=text) for text in texts]
    )
    found = {it["index"]: it["relevance_score"] for it in answer["results"]}
    chance = 1 / (1 + np.exp(-(2 * scores.astype(np.float64) - 1)))
    assert [found[n] for n in range(3)] == pytest.approx(chance.tolist(), abs=1e-5)


def test_a_weight_without_a_reranker_is_refused(space: SemanticSpace) -> None:
    client = TestClient(create_app({"s": space}))
    asked = {"text": QUERY, "search_weight": 0.5}
    answer = client.post("/v1/spaces/s/search", json=asked)
    assert (answer.status_code, answer.json()["field"]) == (422, "search_weight")
