"""What holds for every request: whence it comes, how large it is, and what an answer carries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from unisem import SemanticSpace
from unisem.service.http import guard
from unisem.service.http.app import create_app
from unisem.service.http.guard import Guard
from unisem.service.settings import ServiceSettings

SEARCH = "/v1/spaces/cards/search"
RECORDS = "/v1/spaces/cards/records"


@pytest.fixture
def app(card_space: SemanticSpace) -> FastAPI:
    settings = ServiceSettings(hosts=("localhost", "127.0.0.1", "[::1]"), body_bytes=4000)
    return create_app({"cards": card_space}, settings)


@pytest.fixture
def local(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://localhost:8000") as client:
        yield client


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]", "[::1]:8"])
def test_names_of_this_machine(local: TestClient, host: str) -> None:
    assert local.get("/v1/spaces", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "localhost@evil"]
)
def test_a_name_that_points_here_is_refused(local: TestClient, host: str) -> None:
    answer = local.get("/v1/spaces", headers={"Host": host})
    assert answer.status_code == 421
    assert "cards" not in answer.text


def test_pages_of_others_cannot_write(local: TestClient, card_space: SemanticSpace) -> None:
    new = {"records": [{"text": "a"}]}
    for origin in ("http://evil.example", "null", "http://localhost:9999"):
        answer = local.post(RECORDS, json=new, headers={"Origin": origin})
        assert answer.status_code == 403
    form = local.post(RECORDS, content='{"records": [{"text": "a"}]}')  # as a form sends it
    assert form.status_code == 422
    assert len(card_space) == 7
    own = local.post(RECORDS, json=new, headers={"Origin": "http://localhost:8000"})
    assert own.status_code == 200
    assert "access-control-allow-origin" not in own.headers


@pytest.mark.parametrize(
    "path", ["/v1/spaces", "/nothing", SEARCH, "/openapi.json", "/", "/health"]
)
def test_every_answer_is_confined(local: TestClient, path: str) -> None:
    headers = local.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("PUT", "/v1/spaces", 405),
        ("GET", SEARCH, 405),
        ("GET", "/v1", 404),
    ],
)
def test_what_is_not_there_is_a_problem(
    local: TestClient, method: str, path: str, status: int
) -> None:
    answer = local.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_an_unexpected_error_says_nothing(
    local: TestClient, card_space: SemanticSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(card_space.store, "count", fail)
    answer = local.get("/v1/spaces")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        f"{RECORDS}/..%2F..%2Fetc%2Fpasswd",
        f"{RECORDS}/%2e%2e%2f%2e%2e%2fetc%2fpasswd/image",
        f"{RECORDS}/%00",
        f"{RECORDS}/%ff%fe",
        f"{RECORDS}/%",
        f"{RECORDS}/a/b",
        "/v1/spaces/..%2F..%2Fetc/stats",
        "/v1/spaces/%2e/stats",
        "/page/..%2F..%2F..%2Fpyproject.toml",
        "/page/%2e%2e%2fsrc%2fpage.ts",
        "//etc/passwd",
    ],
)
def test_paths_lead_nowhere(local: TestClient, path: str) -> None:
    assert local.get(path).status_code == 404


# -- bodies that arrive bit by bit -------------------------------------------------------------


async def sent(app: FastAPI, parts: AsyncIterator[bytes], **more: str) -> tuple[int, int]:
    """The status of a request whose body comes in parts, and how many were read."""
    headers = {"host": "localhost", "content-type": "application/json"} | more
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": SEARCH,
        "raw_path": SEARCH.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 1),
    }
    statuses: list[int] = []
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        async for part in parts:
            read += 1
            return {"type": "http.request", "body": part, "more_body": True}
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    (status,) = statuses
    return status, read


async def endless(part: bytes, pause: float) -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(pause)
        yield part


async def test_an_endless_body_is_not_read_to_its_end(app: FastAPI) -> None:
    status, read = await sent(app, endless(b"a" * 1000, 0))
    assert status == 413
    assert read == 5


async def test_a_large_body_is_refused_by_its_length(app: FastAPI) -> None:
    status, read = await sent(app, endless(b"a", 0), **{"content-length": "999999999999"})
    assert (status, read) == (413, 0)


async def test_a_slow_body_is_given_up(card_space: SemanticSpace) -> None:
    app = create_app({"cards": card_space}, ServiceSettings(seconds=0.3))
    status, _ = await sent(app, endless(b"a", 0.02))
    assert status == 408


@pytest.mark.parametrize("body", ["", "{", "[1]", '"a"', "null", "[" * 3000, '{"text": 1e999}'])
def test_what_is_no_query_is_refused(local: TestClient, body: str) -> None:
    answer = local.post(SEARCH, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_more_than_there_is_place_for_stand_at_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_AT_THE_DOOR", 0.2)
    answers = asyncio.run(_crowd(are_kept=True))
    assert [status for status, _ in answers] == [200, 200, 429, 429]
    assert answers[2][1]["retry-after"] == "1"


def test_whoever_stands_at_the_door_gets_a_place_that_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "_AT_THE_DOOR", 60.0)
    assert [status for status, _ in asyncio.run(_crowd(are_kept=False))] == [200] * 4


async def _crowd(*, are_kept: bool) -> list[tuple[int, httpx.Headers]]:
    """What four are answered where two have place.

    Args:
        are_kept: Whether those two go on until the others are refused.
    """
    free, read = asyncio.Event(), 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal read
        if scope["path"] == "/v1/spaces":
            await receive()
            read += 1
            await free.wait()
        await Response("fine")(scope, receive, send)

    guarded = Guard(app, ServiceSettings(queue=1, batch=1))
    transport = httpx.ASGITransport(app=guarded)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        asked = [asyncio.create_task(client.get("/v1/spaces")) for _ in range(4)]
        while read < 2:
            await asyncio.sleep(0)
        assert (await client.get("/health")).status_code == 200
        if are_kept:
            await asyncio.wait(asked[2:])
        assert read == 2
        free.set()
        answers = await asyncio.gather(*asked)
    return [(answer.status_code, answer.headers) for answer in answers]
