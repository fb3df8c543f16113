"""Whoever asks, a reranker's score and the search's are mixed as the core mixes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from langchain_unisem import UniSemReranker as DocumentReranker
from langchain_unisem import UniSemRetriever as DocumentRetriever
from llama_index_unisem import UniSemReranker as NodeReranker
from llama_index_unisem import UniSemRetriever as NodeRetriever
from tests.rerank.cross_modal.support import picture
from tests.support.matching_checkpoints import save_two_towers_of_tokens
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
