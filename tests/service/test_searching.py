"""Searches over HTTP answer what the space answers, to the bit."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests.support.length_reranker import LengthReranker
from tests.support.pictures import encoded, solid
from unisem import Query, Record, SemanticSpace
from unisem.filters import Field
from unisem.images.reference import ImageRef
from unisem.search.fusion import WeightedFusion
from unisem.search.query import Selection
from unisem.service.http.app import create_app
from unisem.service.settings import ServiceSettings
from unisem.stores.hits import Hit
from unisem.wire import WireHit, WireImage, WireQuery
from unisem.wire.store import WireRows

SEARCH = "/v1/spaces/cards/search"
RED = encoded(solid("red"))


def hits_of(space: SemanticSpace, answer: Any) -> list[Hit]:
    """What an answer says, as the space would say it."""

    def image(wire: WireImage) -> ImageRef:
        (found,) = [
            it for it in space.store.select() if it.image and it.image.sha256 == wire.sha256
        ]
        assert found.image is not None
        return found.image

    return [
        WireHit.model_validate(hit).to_core(lambda record: record.to_core(image))
        for hit in answer["hits"]
    ]


NAMED = Field("file_name").matches_text("e") & ~(Field("file_name") == "red.png")
QUERIES = [
    Query(text="a red card"),
    Query(text="red", k=3, match="image"),
    Query(image=RED, k=2),
    Query(image=RED, text="blue", text_weight=0.7),
    Query(text="green card", mode="keyword"),
    Query(text="green card", mode="hybrid", k=4, fetch_k=6),
    Query(text="card", mode="hybrid", fusion=WeightedFusion(0.25), fetch_words=3, fetch_vectors=4),
    Query(vector=np.arange(1, 49, dtype=np.float32) / 7, vector_kind="image"),
    Query(text="card", selection=Selection(modality="text")),
    Query(text="card", selection=Selection(ids=["cards/red.png", "nowhere"])),
    Query(
        text="card",
        selection=Selection(filter=Field("file").matches_text("e") & ~(Field("x") == 1)),
    ),
    Query(text="card", min_score=0.3, k=10),
    Query(text="card", diversity=0.5, duplicates="near", neighbors=1),
    Query(text="card", k=0),
]


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_an_answer_is_the_spaces_own(
    client: TestClient, card_space: SemanticSpace, query: Query
) -> None:
    body = WireQuery.of(query).model_dump(exclude_defaults=True)
    answer = client.post(SEARCH, json=body)
    assert answer.status_code == 200, answer.text
    assert hits_of(card_space, answer.json()) == card_space.search_query(query)


def test_a_batch_is_answered_in_order(client: TestClient, card_space: SemanticSpace) -> None:
    body = {"queries": [WireQuery.of(query).model_dump() for query in QUERIES]}
    answer = client.post(f"{SEARCH}/batch", json=body).json()
    found = [hits_of(card_space, result) for result in answer["results"]]
    assert found == card_space.search_many(QUERIES)


def test_what_is_left_out_is_as_of_a_query() -> None:
    left_out = WireQuery(text="a").to_core()
    assert repr(left_out) == repr(Query(text="a"))


def test_a_picture_may_be_uploaded(client: TestClient, card_space: SemanticSpace) -> None:
    files = {"image": ("red.png", RED, "image/png")}
    answer = client.post(SEARCH, files=files, data={"query": '{"text": "blue", "k": 3}'})
    assert answer.status_code == 200, answer.text
    assert hits_of(card_space, answer.json()) == card_space.search("blue", RED, k=3)
    alone = client.post(SEARCH, files=files)
    assert hits_of(card_space, alone.json()) == card_space.search(image=RED)


def test_more_like_a_record(client: TestClient, card_space: SemanticSpace) -> None:
    answer = client.post(SEARCH, json={"like": "cards/red.png", "k": 3}).json()
    wanted = [hit for hit in card_space.search(image=RED, k=4) if hit.record.id != "cards/red.png"][
        :3
    ]
    assert hits_of(card_space, answer) == wanted
    text = client.post(SEARCH, json={"like": "cards/about.txt", "k": 7}).json()
    assert len(text["hits"]) == 6
    assert client.post(SEARCH, json={"like": "nobody"}).status_code == 404
    assert client.post(SEARCH, json={"like": "cards/red.png", "neighbors": 1}).status_code == 422


def test_rerankers_by_name(card_space: SemanticSpace) -> None:
    app = create_app({"cards": card_space}, rerankers={"length": LengthReranker()})
    client = TestClient(app)
    wanted = card_space.search("card", reranker=LengthReranker())
    for name in (True, "length"):
        answer = client.post(SEARCH, json={"text": "card", "rerank": name}).json()
        assert hits_of(card_space, answer) == wanted
    unknown = client.post(SEARCH, json={"text": "card", "rerank": "other"})
    assert (unknown.status_code, unknown.json()["field"]) == (422, "rerank")
    assert "length" in unknown.json()["remedy"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, None),
        ({"text": "a", "colour": 1}, "colour"),
        ({"text": 1}, "text"),
        ({"text": "a", "k": "5"}, "k"),
        ({"text": "a", "k": -1}, "k"),
        ({"text": "a", "k": 1001}, "k"),
        ({"text": "a", "fetch_k": 1_000_000}, "fetch_k"),
        ({"text": "a", "neighbors": 5000}, "neighbors"),
        ({"text": "a", "k": 500, "neighbors": 100}, "neighbors"),
        ({"text": "a", "k": 100, "rerank": True}, "fetch_k"),
        ({"text": "a", "mode": "magic"}, "mode"),
        ({"text": "a", "min_relevance": 0.5}, "min_relevance"),
        ({"image": "https://example.com/a.png"}, "image"),
        ({"image": "/etc/passwd"}, "image"),
        ({"image": "file:///etc/passwd"}, "image"),
        ({"image": "data:image/png;base64,!!!!"}, "image"),
        ({"image": "data:image/png;base64," + base64.b64encode(b"no").decode()}, "image"),
        ({"text": "a", "filter": {"field": "x"}}, "filter"),
        ({"text": "a", "filter": {"field": "x", "operator": "is", "value": 1}}, "filter"),
        ({"text": "a", "filter": {"and": [{"or": 3}]}}, "filter"),
        ({"vector": "AAAA"}, "vector"),
        ({"vector": "abc"}, "vector"),
        ({"text": "a", "rerank": True}, "rerank"),
        ({"text": "a\ud800"}, None),
        ({"text": "a", "fusion": {"kind": "rank", "k": -1}}, "fusion.rank.k"),
    ],
)
def test_what_is_wrong_is_named(client: TestClient, body: Any, field: str | None) -> None:
    answer = client.post(
        SEARCH, content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (422, 422), problem
    assert problem["field"] == field
    assert problem["detail"]


@pytest.mark.parametrize(
    ("content", "kind", "detail", "remedy"),
    [
        (
            b'{"text": "a"}',
            "application/x-www-form-urlencoded",  # what curl -d says without -H
            "the body was not read as JSON",
            "send it with Content-Type: application/json",
        ),
        (b'["a"]', "application/json", "the body is no JSON object", "send {…}"),
        (b"", "application/json", "the body is no JSON object", "send {…}"),
        (
            b'{"text": "a", "filter": {"x": 1}}',
            "application/json",
            "filter is no filter",
            'a filter is {"field": …, "operator": …, "value": …}, {"and": […]}, '
            '{"or": […]} or {"not": …}',
        ),
    ],
)
def test_what_a_first_request_gets_wrong_is_told_with_its_remedy(
    client: TestClient, content: bytes, kind: str, detail: str, remedy: str
) -> None:
    answer = client.post(SEARCH, content=content, headers={"Content-Type": kind})
    problem = answer.json()
    assert (answer.status_code, problem["detail"], problem["remedy"]) == (422, detail, remedy)


def test_a_bad_query_costs_the_others_nothing(
    client: TestClient, card_space: SemanticSpace
) -> None:
    short = {"vector": base64.b64encode(np.ones(3, "<f4").tobytes()).decode()}
    assert client.post(SEARCH, json=short).status_code == 422
    assert client.post(SEARCH, json={"text": "card"}).status_code == 200


def test_hits_of_a_whole_request_are_bounded(card_space: SemanticSpace) -> None:
    client = TestClient(create_app({"cards": card_space}, ServiceSettings(hits=10)))
    for queries in ([{"text": "a", "k": 4}] * 3, [{"text": "a", "k": 3, "neighbors": 3}]):
        refused = client.post(f"{SEARCH}/batch", json={"queries": queries})
        assert (refused.status_code, refused.json()["field"]) == (422, "queries")
        assert "10" in refused.json()["detail"]
    fine = {"queries": [{"text": "a", "k": 5}] * 2}
    assert client.post(f"{SEARCH}/batch", json=fine).status_code == 200
    rows = WireRows.of(np.ones((3, 48), np.float32)).model_dump()
    store = SEARCH.replace("search", "store/search")
    refused = client.post(store, json={"vectors": rows, "k": 4, "selection": {}})
    assert (refused.status_code, refused.json()["field"]) == (422, "k")
    assert client.post(store, json={"vectors": rows, "k": 3, "selection": {}}).status_code == 200


def test_copies_count_among_the_hits_of_a_request(card_space: SemanticSpace) -> None:
    card_space.add(Record(id=f"pink {n}", image=solid((250, 90, 170))) for n in range(8))
    client = TestClient(create_app({"cards": card_space}, ServiceSettings(hits=6)))
    query = {
        "image": "data:image/png;base64,"
        + base64.b64encode(encoded(solid((250, 90, 170)))).decode()
    }
    for path, body, field in (
        (SEARCH, {**query, "k": 1}, "k"),
        (f"{SEARCH}/batch", {"queries": [{**query, "k": 1}]}, "queries"),
    ):
        answer = client.post(path, json=body)
        assert answer.status_code == 422
        assert answer.json()["field"] == field
        assert "copies that hits tell of must be at most 6" in answer.json()["detail"]
    kept = client.post(SEARCH, json={**query, "k": 3, "duplicates": "keep"})
    assert len(kept.json()["hits"]) == 3


@pytest.mark.parametrize("path", [SEARCH, f"{SEARCH}/batch", "store/search", "store/words"])
def test_hits_are_written_beside_the_event_loop(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    written: list[bool] = []

    def of(hit: Hit, url: Callable[[Record], str]) -> WireHit:
        try:
            asyncio.get_running_loop()
            written.append(False)
        except RuntimeError:
            written.append(True)
        return original(hit, url)

    original = WireHit.of
    monkeypatch.setattr(WireHit, "of", of)
    rows = WireRows.of(np.ones((1, 48), np.float32)).model_dump()
    bodies: dict[str, Any] = {
        SEARCH: {"text": "card"},
        f"{SEARCH}/batch": {"queries": [{"text": "card"}] * 2},
        "store/search": {"vectors": rows, "k": 3, "selection": {}},
        "store/words": {"text": "card", "k": 3, "selection": {}},
    }
    answer = client.post(
        SEARCH.replace("search", path) if path[0] == "s" else path, json=bodies[path]
    )
    assert answer.status_code == 200
    assert written
    assert all(written)


def test_limits_are_the_services(card_space: SemanticSpace) -> None:
    settings = ServiceSettings(k=3, queries=2, images=1, pixels=100, body_bytes=5000)
    client = TestClient(create_app({"cards": card_space}, settings))
    assert client.post(SEARCH, json={"text": "a", "k": 4}).json()["field"] == "k"
    three = {"queries": [{"text": "a"}] * 3}
    assert client.post(f"{SEARCH}/batch", json=three).json()["field"] == "queries"
    large = client.post(SEARCH, json={"text": "a" * 6000})
    assert large.status_code == 413
    big = client.post(SEARCH, files={"image": RED}, data={"query": '{"k": 3}'})
    assert (big.status_code, big.json()["field"]) == (422, "image")
    assert "pixels" in big.json()["detail"]


def test_records_of_every_name_are_found(client: TestClient, card_space: SemanticSpace) -> None:
    card_space.add([Record(id="ä/ö %2F?#", text="umlauts")])
    answer = client.post(SEARCH, json={"text": "umlauts", "k": 1}).json()
    assert answer["hits"][0]["record"]["id"] == "ä/ö %2F?#"
