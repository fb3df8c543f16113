"""What one request may cost: counted before it is parsed, and waiting in a queue with an end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from tests.support.waiting import until
from unisem import SemanticSpace
from unisem.service.http.app import create_app
from unisem.service.http.values import ValueCount
from unisem.service.settings import ServiceSettings
from unisem.service.view import SpaceView

SPACE = "/v1/spaces/cards"
JSON = {"Content-Type": "application/json"}
TEXTS = st.text(st.sampled_from('a,[{}]"\\\n漢'), max_size=8)
VALUES = st.recursive(
    st.one_of(st.none(), st.integers(0, 99), TEXTS),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(TEXTS, inner)),
    max_leaves=30,
)


def marks(value: Any) -> int:
    """Commas and opening brackets of a value's JSON, but for those in strings; and one."""
    match value:
        case dict():
            return 1 + max(len(value), 1) + sum(marks(it) - 1 for it in value.values())
        case list():
            return 1 + max(len(value), 1) + sum(marks(it) - 1 for it in value)
    return 1


@given(value=VALUES, ascii=st.booleans(), cuts=st.lists(st.integers(0, 200)))
def test_values_are_counted_however_they_arrive(value: Any, ascii: bool, cuts: list[int]) -> None:
    text = json.dumps(value, ensure_ascii=ascii).encode()
    count, start = ValueCount(), 0
    for cut in [*sorted(cuts), len(text)]:
        count.take(text[start:cut])
        start = max(start, cut)
    assert count.count == marks(value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_no_encoding_hides_values(encoding: str) -> None:
    text = '["\u2201\u2222", ' + "1," * 50 + "1]"  # letters with the byte of a quote
    assert ValueCount().take(text.encode(encoding)) >= 52


def records(count: int) -> dict[str, Any]:
    return {"records": [{"text": "a", "metadata": {f"k{n}": n for n in range(count)}}]}


def test_a_body_has_only_so_many_values(card_space: SemanticSpace) -> None:
    client = TestClient(create_app({"cards": card_space}, ServiceSettings(values=100)))
    wordy = {"text": 'a, [b], {c} "\\'}
    assert client.post(f"{SPACE}/search", json={"text": str([wordy] * 100)}).status_code == 200
    assert client.post(f"{SPACE}/records", json=records(50)).status_code == 200
    form = {"records": json.dumps(records(200)).encode()}
    for refused in (
        client.post(f"{SPACE}/records", json=records(200)),
        client.post(f"{SPACE}/records", files={"image": b"GIF" + b"," * 500}, data=form),
        client.post(f"{SPACE}/search", content=b"[" + b"," * 200, headers=JSON),
    ):
        assert refused.status_code == 413, refused.text
        assert refused.json()["detail"] == "the body has more than 100 values"
    assert len(card_space) == 8


def test_a_querys_text_has_an_end(card_space: SemanticSpace) -> None:
    client = TestClient(create_app({"cards": card_space}, ServiceSettings(text=20)))
    for length, status in ((20, 200), (21, 422)):
        query = {"text": "a" * length}
        for answer in (
            client.post(f"{SPACE}/search", json=query),
            client.post(f"{SPACE}/search/batch", json={"queries": [query]}),
            client.post(f"{SPACE}/store/words", json=query | {"k": 1, "selection": {}}),
        ):
            assert answer.status_code == status
            assert status == 200 or answer.json()["field"] == "text"


# -- filters -------------------------------------------------------------------------------------


def different(count: int) -> dict[str, Any]:
    return {"or": [{"field": f"f{n}", "operator": "eq", "value": n} for n in range(count)]}


def alike(count: int) -> dict[str, Any]:
    return {"or": [{"field": "f", "operator": "eq", "value": n} for n in range(count)]}


def asked(client: TestClient, filter: dict[str, Any]) -> list[httpx.Response]:
    vector = {"rows": None, "data": "AACAPw=="}
    return [
        client.post(f"{SPACE}/search", json={"text": "a", "filter": filter}),
        client.post(f"{SPACE}/search/batch", json={"queries": [{"text": "a", "filter": filter}]}),
        client.get(f"{SPACE}/records", params={"filter": json.dumps(filter)}),
        client.post(f"{SPACE}/records/delete", json={"filter": filter}),
        client.post(f"{SPACE}/store/page", json={"selection": {"filter": filter}, "limit": 1}),
        client.post(f"{SPACE}/store/delete", json={"filter": filter}),
        client.post(
            f"{SPACE}/store/words", json={"text": "a", "k": 1, "selection": {"filter": filter}}
        ),
        client.post(
            f"{SPACE}/store/search",
            json={"vectors": vector, "k": 1, "selection": {"filter": filter}},
        ),
    ]


def test_a_filter_has_only_so_many_conditions(card_space: SemanticSpace) -> None:
    client = TestClient(create_app({"cards": card_space}))
    for refused in asked(client, different(257)):
        problem = refused.json()
        assert (refused.status_code, problem["field"]) == (422, "filter"), problem
        assert problem["detail"] == "the number of conditions in filter must be at most 256"
    for fine in asked(client, different(256))[:-1] + asked(client, alike(600))[:-1]:
        assert fine.status_code == 200, fine.text
    assert len(card_space) == 7


def test_no_list_of_a_filter_is_looked_at_that_is_too_long(card_space: SemanticSpace) -> None:
    client = TestClient(create_app({"cards": card_space}))
    among = {"field": "f", "operator": "any", "value": [0] * 10_001}
    nested = {"and": [{"or": [{"not": {"and": []}}] * 9000}] * 5}
    for filter in (among, nested):
        answer = client.post(f"{SPACE}/search", json={"text": "a", "filter": filter})
        assert answer.status_code == 422
        assert "more than" in answer.json()["detail"]


# -- what waits ----------------------------------------------------------------------------------

READS: list[Callable[[TestClient], httpx.Response]] = [
    lambda client: client.get(f"{SPACE}/fields"),
    lambda client: client.get(f"{SPACE}/records"),
    lambda client: client.post(f"{SPACE}/records/get", json={"ids": ["a"]}),
    lambda client: client.post(f"{SPACE}/store/page", json={"selection": {}, "limit": 1}),
    lambda client: client.post(f"{SPACE}/store/vectors", json={"ids": ["a"]}),
]


def test_what_reads_records_waits_in_a_queue(
    card_space: SemanticSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, begun, go = SpaceView.page, threading.Event(), threading.Event()

    def held(view: SpaceView, *arguments: Any) -> Any:
        begun.set()
        assert go.wait(60)
        return page(view, *arguments)

    monkeypatch.setattr(SpaceView, "page", held)
    app = create_app({"cards": card_space}, ServiceSettings(queue=2))
    with app.state.service.spaces() as spaces:
        (hosted,) = spaces
    with TestClient(app) as client, ThreadPoolExecutor(8) as pool:
        first = pool.submit(READS[0], client)
        assert begun.wait(60)
        rest = [pool.submit(READS[1], client) for _ in range(2)]
        until(lambda: hosted.waiting == 2)
        for read in READS:
            refused = read(client)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert client.post(f"{SPACE}/search", json={"text": "a"}).status_code == 200
        go.set()
        assert {it.result(60).status_code for it in (first, *rest)} == {200}
        assert {read(client).status_code for read in READS} == {200}


def test_who_has_waited_too_long_to_read_is_given_up(
    card_space: SemanticSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()
    done: list[str] = []

    def held(view: SpaceView, ids: list[str]) -> list[None]:
        done.extend(ids)
        begun.set()
        assert go.wait(60)
        return [None]

    monkeypatch.setattr(SpaceView, "get", held)
    app = create_app({"cards": card_space}, ServiceSettings(seconds=0.2))
    with TestClient(app) as client, ThreadPoolExecutor(8) as pool:
        bodies = [{"ids": [name]} for name in ("runs", "waits")]
        first = pool.submit(client.post, f"{SPACE}/records/get", json=bodies[0])
        assert begun.wait(60)
        assert client.post(f"{SPACE}/records/get", json=bodies[1]).status_code == 503
        assert first.result(60).status_code == 503
        go.set()
    assert done == ["runs"]  # to its end, unheard; the other never began
