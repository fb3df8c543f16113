"""What waits is done together, and a bad one costs the others nothing."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.support.length_reranker import LengthReranker
from tests.support.waiting import until
from unisem import SemanticSpace
from unisem.service.batching import Batcher, joined
from unisem.service.http.access import awaited
from unisem.service.http.app import create_app
from unisem.service.refusal import RefusedError
from unisem.service.service import Service
from unisem.service.settings import ServiceSettings

SEARCH = "/v1/spaces/cards/search"


class Held:
    """Doubles numbers, the first call not before it is let go; refuses negative ones."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.begun = threading.Event()
        self.go = threading.Event()

    def __call__(self, jobs: list[int]) -> list[int]:
        self.calls.append(jobs)
        self.begun.set()
        assert self.go.wait(60)
        if min(jobs) < 0:
            raise ValueError("negative")
        return [2 * job for job in jobs]


def started(run: Held, **limits: int) -> tuple[Batcher[int, int], Future[list[int]]]:
    """A batcher that is busy with its first job."""
    batcher: Batcher[int, int] = Batcher("test", run, **({"most": 8, "queue": 8} | limits))
    first = batcher.submit([0])
    assert run.begun.wait(60)
    return batcher, first


def test_what_waits_is_done_together() -> None:
    run = Held()
    batcher, first = started(run)
    others = [batcher.submit([n, 10 * n]) for n in range(1, 4)]
    run.go.set()
    assert first.result(60) == [0]
    assert [it.result(60) for it in others] == [[2, 20], [4, 40], [6, 60]]
    assert run.calls == [[0], [1, 10, 2, 20, 3, 30]]
    batcher.close()


def test_no_call_has_more_than_the_most() -> None:
    run = Held()
    batcher, _ = started(run, most=3)
    others = [batcher.submit([n] * size) for n, size in ((1, 2), (2, 2), (3, 1), (4, 5))]
    run.go.set()
    assert [len(it.result(60)) for it in others] == [2, 2, 1, 5]
    assert run.calls == [[0], [1, 1], [2, 2, 3], [4] * 5]
    batcher.close()


def test_what_is_joined_is_given_up_together() -> None:
    run = Held()
    batcher, _ = started(run, most=1)
    whole = joined([batcher.submit([n]) for n in (1, 2, 3)])
    bad = joined([batcher.submit([n]) for n in (4, -1)])
    unheard = joined([batcher.submit([n]) for n in (5, 6)])
    assert unheard.cancel()
    run.go.set()
    assert whole.result(60) == [2, 4, 6]
    with pytest.raises(ValueError, match="negative"):
        bad.result(60)
    batcher.close()
    assert run.calls == [[0], [1], [2], [3], [4], [-1]]


def test_queries_that_take_long_are_done_one_by_one(
    card_space: SemanticSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    original = card_space.search_many

    def noted(queries: Any) -> Any:
        counts.append(len(queries))
        return original(queries)

    monkeypatch.setattr(card_space, "search_many", noted)
    app = create_app({"cards": card_space}, rerankers={"length": LengthReranker()})
    with TestClient(app) as client:
        for slow in ({"rerank": True}, {"diversity": 0.5, "fetch_k": 1000}):
            batch = {"queries": [{"text": "card", **slow}, {"text": "red"}]}
            assert client.post(f"{SEARCH}/batch", json=batch).status_code == 200
            assert counts == [1, 1]
            counts.clear()
        batch = {"queries": [{"text": "card", "diversity": 0.5}, {"text": "red"}]}
        assert client.post(f"{SEARCH}/batch", json=batch).status_code == 200
        assert counts == [2]


def test_a_bad_one_costs_the_others_nothing() -> None:
    run = Held()
    batcher, _ = started(run)
    good, bad, fine = (batcher.submit(jobs) for jobs in ([1], [2, -1], [3]))
    run.go.set()
    assert (good.result(60), fine.result(60)) == ([2], [6])
    with pytest.raises(ValueError, match="negative"):
        bad.result(60)
    batcher.close()


def test_what_nobody_waits_for_is_not_done() -> None:
    run = Held()
    batcher, _ = started(run)
    given_up, wanted = batcher.submit([1]), batcher.submit([2])
    assert given_up.cancel()
    run.go.set()
    assert wanted.result(60) == [4]
    assert run.calls == [[0], [2]]
    batcher.close()


def test_more_than_the_queue_holds_is_refused() -> None:
    run = Held()
    batcher, _ = started(run, queue=2)
    waiting = [batcher.submit([1]), batcher.submit([2])]
    with pytest.raises(RefusedError) as refused:
        batcher.submit([3])
    assert (refused.value.status, refused.value.retry_after) == (429, 1)
    run.go.set()
    assert [it.result(60) for it in waiting] == [[2], [4]]
    assert batcher.submit([3]).result(60) == [6]
    batcher.close()


def test_what_waits_at_the_end_is_done() -> None:
    run = Held()
    batcher, first = started(run)
    waiting = batcher.submit([1])
    threading.Timer(0.05, run.go.set).start()
    batcher.close()
    assert (first.result(0), waiting.result(0)) == ([0], [2])
    with pytest.raises(RefusedError) as refused:
        batcher.submit([1])
    assert refused.value.status == 503


# -- over HTTP ---------------------------------------------------------------------------------


class HeldSpace:
    """Holds a space's first search until it is let go; remembers how many came at once."""

    def __init__(self, space: SemanticSpace, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real = space.search_many
        self.sizes: list[int] = []
        self.begun, self.go = threading.Event(), threading.Event()
        monkeypatch.setattr(space, "search_many", self._search)

    def _search(self, queries: Any) -> Any:
        self.sizes.append(len(queries))
        self.begun.set()
        assert self.go.wait(60)
        return self._real(queries)


def test_concurrent_searches_are_one(
    card_space: SemanticSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = HeldSpace(card_space, monkeypatch)
    app = create_app({"cards": card_space})
    with app.state.service.spaces() as spaces:
        (hosted,) = spaces
    bodies: list[dict[str, Any]] = [{"text": f"card {n}"} for n in range(12)]
    bodies.append({"vector": "AACAPw=="})  # of another dimension
    with TestClient(app) as client, ThreadPoolExecutor(20) as pool:
        first = pool.submit(client.post, SEARCH, json={"text": "first"})
        assert held.begun.wait(60)
        rest = [pool.submit(client.post, SEARCH, json=body) for body in bodies]
        until(lambda: hosted.waiting == len(bodies))
        held.go.set()
        statuses = [it.result(60).status_code for it in rest]
        assert first.result(60).status_code == 200
        for body, answer in zip(bodies[:12], rest[:12], strict=True):
            assert answer.result().json() == client.post(SEARCH, json=body).json()
    assert statuses == [200] * 12 + [422]
    assert held.sizes[:2] == [1, 13]


def test_a_full_queue_says_when_to_come_again(
    card_space: SemanticSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = HeldSpace(card_space, monkeypatch)
    app = create_app({"cards": card_space}, ServiceSettings(queue=2))
    with app.state.service.spaces() as spaces:
        (hosted,) = spaces
    with TestClient(app) as client, ThreadPoolExecutor(8) as pool:
        first = pool.submit(client.post, SEARCH, json={"text": "first"})
        assert held.begun.wait(60)
        rest = [pool.submit(client.post, SEARCH, json={"text": "a"}) for _ in range(2)]
        until(lambda: hosted.waiting == 2)
        refused = client.post(SEARCH, json={"text": "b"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert client.get("/health").status_code == 200
        text = client.get("/metrics").text
        assert 'unisem_queue{for="cards"} 2.0' in text
        held.go.set()
        assert {it.result(60).status_code for it in (first, *rest)} == {200}


async def test_what_takes_too_long_is_given_up(card_space: SemanticSpace) -> None:
    service = Service({"cards": card_space}, ServiceSettings(seconds=0.05))
    never: Future[list[int]] = Future()
    with pytest.raises(RefusedError) as refused:
        await awaited(never, service)
    assert (refused.value.status, refused.value.retry_after) == (503, 5)
    assert never.cancelled()


def test_alive_ready_and_counted(card_space: SemanticSpace) -> None:
    app = create_app({"cards": card_space})
    cold = TestClient(app)
    assert cold.get("/health").json() == {"status": "ok"}
    assert cold.get("/ready").status_code == 503
    with TestClient(app) as client:
        until(lambda: client.get("/ready").status_code == 200)
        client.post(SEARCH, json={"text": "a"})
        client.get("/v1/spaces/cards/records/any%2Fid/image")
        client.post("/v1/spaces/cards/store/words", json={})
        text = client.get("/metrics").text
    assert 'unisem_records{space="cards"} 7.0' in text
    search = 'unisem_requests_total{method="POST",route="/v1/spaces/{space}/search",status="200"}'
    assert f"{search} 1.0" in text
    assert 'route="/v1/spaces/{space}/store/words",status="422"} 1.0' in text
    assert 'route="/v1/spaces/{space}/records/{id}/image",status="404"} 1.0' in text
    assert "any" not in text
