"""What the Java client sends, and what it makes of answers, whatever they are."""

from __future__ import annotations

import base64
import struct
import threading
import time
from email.utils import formatdate
from typing import Any, BinaryIO

import pytest

from tests.clients.java_client import JavaClient, JavaError
from tests.clients.scripted_server import Reply, ScriptedServer
from tests.support.pictures import encoded, solid

RED = encoded(solid("red"))
FOUND = Reply(body={"hits": []})
LATER = Reply(429, {"title": "Too many", "status": 429, "detail": "busy"}, {"Retry-After": "0"})


def failed(java: JavaClient, do: str, **command: Any) -> dict[str, Any]:
    with pytest.raises(JavaError) as caught:
        java(do, **command)
    return caught.value.parts


def test_a_query_with_every_setting(java: JavaClient, server: ScriptedServer) -> None:
    server.replies = [FOUND]
    java("connect", url=server.url, token="s3cret")
    condition = {
        "and": [
            {"or": [{"not": {"field": "loc.page", "operator": "in", "value": [1, "a", None]}}]},
            *(
                {"field": "year", "operator": operator, "value": 2.5}
                for operator in ("eq", "ne", "gt", "ge", "lt", "le", "contains")
            ),
            *(
                {"field": "标签", "operator": operator, "value": ["a", True]}
                for operator in ("in", "not_in", "any", "all")
            ),
            {"field": "name", "operator": "text", "value": "a"},
            {"field": "name", "operator": "text_insensitive", "value": "A"},
            {"field": "name", "operator": "is_empty"},
            {"field": "name", "operator": "exists"},
        ]
    }
    settings = {
        "k": 3,
        "text_weight": 0.25,
        "filter": condition,
        "modality": "image",
        "ids": ["a/b", "#?%"],
        "source_ids": ["s"],
        "match": "text",
        "mode": "hybrid",
        "min_score": 0.1,
        "min_relevance": 0.5,
        "diversity": 0.3,
        "rerank": "reads-texts",
        "search_weight": 0.5,
        "fetch_k": 60,
        "fetch_vectors": 50,
        "fetch_words": 0,
        "duplicates": "near",
        "neighbors": 2,
    }
    picture = base64.b64encode(RED).decode()
    asked = {"text": "红色 🎻", "image": picture, **settings}
    java("search", query=asked | {"weighted_fusion": 0.75})
    java("search", query=asked | {"rank_fusion": 30.0, "rerank": True})
    sent = {"text": "红色 🎻", "image": f"data:image/png;base64,{picture}", **settings}
    java("search", query={"text": "a", "graph": "taxonomy"})
    java("search", query={"text": "a", "deep_graph": "pagerank"})
    assert server.asked[2].json == {"text": "a", "graph": {"method": "taxonomy"}}
    assert server.asked[3].json["graph"] == {"method": "pagerank", "depth": 3}
    assert server.asked[0].json == sent | {"fusion": {"kind": "weighted", "vector": 0.75}}
    assert server.asked[1].json == sent | {"fusion": {"kind": "rank", "k": 30.0}, "rerank": True}
    assert server.asked[0].path == "/v1/spaces/cards/search"
    assert server.asked[0].headers["authorization"] == "Bearer s3cret"
    assert "upgrade" not in server.asked[0].headers


def test_vectors_are_sent_as_their_bits(java: JavaClient, server: ScriptedServer) -> None:
    server.replies = [FOUND]
    java("connect", url=server.url)
    java("search", query={"vector": [0.1, -2.5], "vector_kind": "both"})
    vector = base64.b64encode(struct.pack("<2f", 0.1, -2.5)).decode()
    assert server.asked[0].json == {"vector": vector, "vector_kind": "both"}
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize(
    ("id", "segment"),
    [
        ("a/b?c#d%e f", "a%2Fb%3Fc%23d%25e%20f"),
        ("猫🐈", "%E7%8C%AB%F0%9F%90%88"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("../../admin", "..%2F..%2Fadmin"),
        ("plain-1_2.png~", "plain-1_2.png~"),
        ("a\r\nHost: b", "a%0D%0AHost%3A%20b"),
    ],
)
def test_any_id_is_one_segment(
    java: JavaClient, server: ScriptedServer, id: str, segment: str
) -> None:
    server.replies = [Reply(body={"id": id})]
    java("connect", url=server.url + "/", space="my space")
    assert java("update", id=id, metadata={"a": None})["id"] == id
    assert server.asked[0].method == "PATCH"
    assert server.asked[0].path == f"/v1/spaces/my%20space/records/{segment}"
    assert server.asked[0].json == {"metadata": {"a": None}}


def test_records_have_their_ids_before_they_are_sent(
    java: JavaClient, server: ScriptedServer
) -> None:
    server.replies = [LATER, None, Reply(body={"ids": ["x", "y"]})]
    java("connect", url=server.url)
    assert java("add", records=[{"text": "a"}, {"text": "b", "id": "y"}]) == ["x", "y"]
    bodies = [asked.json for asked in server.asked]
    assert len(bodies) == 3
    assert bodies[0] == bodies[1] == bodies[2]
    first, second = bodies[0]["records"]
    assert len(first["id"]) == 36
    assert second == {"id": "y", "text": "b"}


def test_metadata_may_hold_null(java: JavaClient, server: ScriptedServer) -> None:
    server.replies = [Reply(body={"ids": ["x"]})]
    java("connect", url=server.url)
    metadata = {"a": None, "b": [1, {"c": 2.5}], "大": 2**200}
    java("add", records=[{"text": "a", "id": "x", "metadata": metadata}])
    assert server.asked[0].json["records"] == [{"id": "x", "text": "a", "metadata": metadata}]


def test_put_off_until_the_service_says(java: JavaClient, server: ScriptedServer) -> None:
    busy = Reply(503, {"detail": "starting"}, {"Retry-After": formatdate(0, usegmt=True)})
    odd = Reply(503, {"detail": "starting"}, {"Retry-After": "soon"})
    server.replies = [LATER, busy, odd, Reply(503, {"detail": "starting"}), FOUND]
    java("connect", url=server.url)
    assert java("search", query={"text": "a"}) == []
    assert len(server.asked) == 5


def test_tries_come_to_an_end(java: JavaClient, server: ScriptedServer) -> None:
    server.replies = [LATER]
    java("connect", url=server.url, retries=2)
    error = failed(java, "search", query={"text": "a"})
    assert (error["status"], error["detail"]) == (429, "busy")
    assert len(server.asked) == 3


def test_who_must_wait_longer_than_there_is_time_is_told_at_once(
    java: JavaClient, server: ScriptedServer
) -> None:
    server.replies = [Reply(429, {"detail": "busy"}, {"Retry-After": "3600"})]
    java("connect", url=server.url)
    assert failed(java, "search", query={"text": "a"})["status"] == 429
    assert len(server.asked) == 1


def test_a_broken_connection_is_tried_again(java: JavaClient, server: ScriptedServer) -> None:
    server.replies = [None, None, FOUND]
    java("connect", url=server.url)
    assert java("search", query={"text": "a"}) == []


def test_nobody_there(java: JavaClient, server: ScriptedServer) -> None:
    with ScriptedServer() as gone:
        url = gone.url
    java("connect", url=url, retries=1)
    error = failed(java, "spaces")
    assert error["status"] == 0
    assert error["cause"] == "ConnectException"
    assert url in error["failed"]


def test_what_is_wrong_is_said_once(java: JavaClient, server: ScriptedServer) -> None:
    problem = {
        "type": "about:blank",
        "title": "Unprocessable",
        "status": 422,
        "detail": "k must be at least 0",
        "field": "k",
        "remedy": "send k from 0",
        "more": [1],
    }
    server.replies = [Reply(422, problem, {"Content-Type": "application/problem+json"})]
    java("connect", url=server.url)
    error = failed(java, "search", query={"text": "a", "k": -1})
    assert (error["status"], error["detail"]) == (422, "k must be at least 0")
    assert (error["field"], error["remedy"]) == ("k", "send k from 0")
    assert error["failed"] == "422: k must be at least 0 [k]; send k from 0"
    assert len(server.asked) == 1


def test_errors_of_the_routes_that_others_speak(java: JavaClient, server: ScriptedServer) -> None:
    body = {"error": {"message": "no such model", "type": "invalid", "param": "model"}}
    server.replies = [Reply(404, body)]
    java("connect", url=server.url)
    error = failed(java, "embed_texts", texts=["a"], role="query")
    assert (error["status"], error["detail"], error["field"]) == (404, "no such model", "model")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"<html>"),
        Reply(body=b""),
        Reply(body=b'{"hits":'),
        Reply(body={"hits": 1}),
        Reply(body={"hits": [1]}),
        Reply(body=[]),
        Reply(body={"hits": [{"record": {"id": 3}, "score": 1.0, "matched": "text"}]}),
        Reply(body={"hits": [{"record": {"id": "a"}, "score": "1", "matched": "text"}]}),
        Reply(302, {}, {"Location": "http://127.0.0.1:1/"}),
        Reply(500, b"Internal Server Error"),
        Reply(502, b"\xff\xfe"),
    ],
    ids=range(11),
)
def test_any_other_answer_is_one_error(
    java: JavaClient, server: ScriptedServer, reply: Reply
) -> None:
    server.replies = [reply]
    java("connect", url=server.url)
    error = failed(java, "search", query={"text": "a"})
    assert error["status"] == (0 if reply.status == 200 else reply.status)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"index": 1, "embedding": "AAAAAA=="}],
        [{"index": -1, "embedding": "AAAAAA=="}],
        [{"index": 0, "embedding": "AAAA!A=="}],
        [{"index": 0, "embedding": [0.5]}],
    ],
    ids=range(5),
)
def test_vectors_that_are_none(java: JavaClient, server: ScriptedServer, data: Any) -> None:
    server.replies = [Reply(body={"data": data})]
    java("connect", url=server.url)
    assert failed(java, "embed_texts", texts=["a"], role="query")["status"] == 0


def test_vectors_come_in_the_order_of_their_texts(java: JavaClient, server: ScriptedServer) -> None:
    rows = [struct.pack("<2f", 0.1, 1e-30), struct.pack("<2f", -3.5, 2.0)]
    data = [
        {"index": index, "embedding": base64.b64encode(rows[index]).decode()} for index in (1, 0)
    ]
    server.replies = [Reply(body={"data": data})]
    java("connect", url=server.url)
    vectors = java("embed_texts", texts=["a", "b"], role="passage")
    assert [struct.pack("<2f", *row) for row in vectors] == rows
    assert server.asked[0].json["task"] == "retrieval.passage"


def test_models_may_be_named(java: JavaClient, server: ScriptedServer) -> None:
    server.replies = [Reply(body={"data": []}), Reply(body={"results": []})]
    java("connect", url=server.url, models=["mini", "reads-texts"])
    failed(java, "embed_texts", texts=["a"], role="query")
    assert java("rerank", query="q", documents=["a"], top=1) == []
    assert [asked.json["model"] for asked in server.asked] == ["mini", "reads-texts"]
    assert java("embed_texts", texts=[], role="query") == []


def test_an_answer_has_a_bound(java: JavaClient, server: ScriptedServer) -> None:
    server.replies = [Reply(body=b" " * 5_000 + b'{"hits": []}')]
    java("connect", url=server.url, most=10_000)
    assert java("search", query={"text": "a"}) == []
    java("connect", url=server.url, most=5_000)
    error = failed(java, "search", query={"text": "a"})
    assert "larger than 5000 bytes" in error["failed"]
    assert len(server.asked) == 2


def test_an_answer_that_trickles_in_ends_with_the_time(
    java: JavaClient, server: ScriptedServer
) -> None:
    over = threading.Event()

    def trickle(file: BinaryIO) -> None:
        try:
            while not over.is_set():
                file.write(b" ")
                file.flush()
                time.sleep(0.02)
        except OSError:
            pass  # who asked has gone

    server.replies = [Reply(write=trickle)]
    java("connect", url=server.url, timeout=500)
    try:
        error = failed(java, "search", query={"text": "a"})
    finally:
        over.set()
    assert (error["status"], error["cause"]) == (0, "HttpTimeoutException")


def test_who_is_interrupted_stops_waiting(java: JavaClient, server: ScriptedServer) -> None:
    server.replies = [Reply(429, {"detail": "busy"}, {"Retry-After": "1"})]
    java("connect", url=server.url, timeout=60_000, retries=1_000)
    assert java("search_interrupted") == ["InterruptedException", True]


def test_what_cannot_be_sent_is_refused_here(java: JavaClient, server: ScriptedServer) -> None:
    java("connect", url=server.url)
    for url in ("ftp://a/", "127.0.0.1", "http://u:p@h/", "http://h/?a", "file:///etc"):
        assert "refused" in failed(java, "connect", url=url), url
    half = r'{"do": "search", "query": {"text": "\ud83c"}}'
    assert isinstance(java.json(half.encode()), list)
    assert failed(java, "search", query={"text": None})["refused"] == "text"
    assert not server.asked


def test_pages_are_turned_to_the_end(java: JavaClient, server: ScriptedServer) -> None:
    def page(ids: list[str], cursor: str | None) -> Reply:
        return Reply(body={"records": [{"id": id} for id in ids], "cursor": cursor})

    server.replies = [page(["a"], "x&=/"), page([], "y"), page(["b"], None)]
    java("connect", url=server.url)
    condition = {"field": "a&b", "operator": "eq", "value": "ü"}
    assert java("records", filter=condition) == ["a", "b"]
    paths = [asked.path for asked in server.asked]
    assert paths[1].startswith("/v1/spaces/cards/records?limit=100&cursor=x%26%3D%2F&filter=%7B")
    assert "a%26b" in paths[2]
    assert "%C3%BC" in paths[2]


def test_a_pictures_ending_is_a_plain_word(java: JavaClient, server: ScriptedServer) -> None:
    kinds = {
        "image/png": "png",
        "image/jpeg; a=b": "jpeg",
        "image/svg+xml": "svg",
        "image/../../x": "bin",
        "": "bin",
    }
    server.replies = [Reply(body=RED, headers={"Content-Type": kind}) for kind in kinds]
    java("connect", url=server.url)
    for kind, ending in kinds.items():
        data, said, extension = java("image", id="a", size="thumbnail")
        assert (base64.b64decode(data), said, extension) == (RED, kind, ending)
    assert server.asked[0].path == "/v1/spaces/cards/records/a/image?size=thumbnail"
