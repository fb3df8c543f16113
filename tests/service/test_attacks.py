"""What strangers send: bodies that are none, bombs, places that are not ours to open."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import zlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.support.length_reranker import LengthReranker
from unisem import SemanticSpace
from unisem.service.http.app import create_app
from unisem.service.http.forwarding import Forwarding
from unisem.service.settings import ServiceSettings

SPACE = "/v1/spaces/cards"
JSON = {"Content-Type": "application/json"}
COMMA = {"field": "n", "operator": "eq", "value": 1}


@pytest.fixture
def attacked(card_space: SemanticSpace) -> Iterator[TestClient]:
    """A service whose failures are answers, as they are behind a port."""
    app = create_app({"cards": card_space}, rerankers={"length": LengthReranker()})
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def refused(answer: httpx.Response, *statuses: int) -> None:
    """Hold that something was refused, as a problem, without a word of how this is made."""
    assert answer.status_code in (statuses or (400, 422)), answer.text
    assert "Traceback" not in answer.text
    assert len(answer.content) < 5000
    if not answer.request.url.path.startswith("/v1/embeddings"):
        assert answer.headers["content-type"] == "application/problem+json"


# -- what JSON can say ---------------------------------------------------------------------------

BODIES = [  # where a value goes
    ("search", '{"text": "a", "strange": %s}'),
    ("search", '{"text": "a", "image": %s}'),
    ("search", '{"text": "a", "ids": %s}'),
    ("search", '{"text": "a", "filter": {"field": "n", "operator": "eq", "value": %s}}'),
    ("search", '{"text": "a", "filter": {"not": %s}}'),
    ("search/batch", '{"queries": [{"text": %s}]}'),
    ("records", '{"records": [{"text": "a", "metadata": {"a": %s}}]}'),
    ("records", '{"records": [{"text": "a", "payload": {"a": %s}}]}'),
    ("records", '{"records": [{"text": "a", "links": {"next": %s}}]}'),
    ("records/get", '{"ids": [%s]}'),
    ("records/delete", '{"filter": {"field": "n", "operator": "eq", "value": %s}}'),
    ("store/page", '{"selection": {}, "limit": 1, "cursor": %s}'),
    ("store/search", '{"vectors": {"rows": %s, "data": ""}, "k": 1, "selection": {}}'),
    ("store/add", '{"items": [{"text": "a", "vectors": {"text": {"rows": %s, "data": ""}}}]}'),
    ("store/update", '{"metadata": {"cards/red.png": {"a": %s}}}'),
    ("store/embed", '{"kind": "texts", "texts": [%s]}'),
    ("store/whole", '{"texts": [%s]}'),
]
HOSTILE = {
    "nested 900 deep": "[" * 900 + "]" * 900,
    "nested 100,000 deep": "[" * 100_000 + "]" * 100_000,
    "of 5,000 digits": "9" * 5000,
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "a lone surrogate": r'"\ud800"',
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_no_value_breaks_it(attacked: TestClient, value: str) -> None:
    for path, body in BODIES:
        answer = attacked.post(f"{SPACE}/{path}", content=body % value, headers=JSON)
        if answer.status_code == 200:  # nothing is called so, or less than the least number
            assert value in (HOSTILE["a lone surrogate"], HOSTILE["Infinity"])
        else:
            refused(answer)
    assert attacked.get(f"{SPACE}/stats").json()["records"] == 7


@pytest.mark.parametrize("size", [10**9, 2**63, 10**100])
@pytest.mark.parametrize("name", ["k", "fetch_k", "fetch_vectors", "fetch_words", "neighbors"])
def test_no_count_is_beyond_its_limit(attacked: TestClient, name: str, size: int) -> None:
    query = {"text": "a", "mode": "hybrid", name: size}
    refused(attacked.post(f"{SPACE}/search", json=query))
    refused(attacked.post(f"{SPACE}/search/batch", json={"queries": [query]}))
    if name == "k":
        search = {"vectors": {"rows": 1, "data": "AACAPw=="}, "k": size, "selection": {}}
        refused(attacked.post(f"{SPACE}/store/search", json=search))
        refused(attacked.post(f"{SPACE}/store/page", json={"selection": {}, "limit": size}))
        refused(attacked.get(f"{SPACE}/records", params={"limit": size}))


@pytest.mark.parametrize("word", ["and", "or"])
def test_filters_have_a_size(attacked: TestClient, word: str) -> None:
    large = {word: [COMMA] * 10_001}
    refused(attacked.post(f"{SPACE}/search", json={"text": "a", "filter": large}))
    refused(attacked.post(f"{SPACE}/records/delete", json={"filter": large}))
    refused(attacked.post(f"{SPACE}/store/page", json={"selection": {"filter": large}, "limit": 1}))
    deep: Any = COMMA
    for _ in range(40):
        deep = {word: [deep]}
    refused(attacked.post(f"{SPACE}/search", json={"text": "a", "filter": deep}))
    refused(attacked.get(f"{SPACE}/records", params={"filter": json.dumps(deep)}))
    refused(attacked.get(f"{SPACE}/records", params={"filter": '{"not":' * 1500}))


@pytest.mark.parametrize(
    "cursor",
    [
        "-1",
        "9" * 30,
        "\0",
        "a" * 9000,
        "1:1",
        "' OR 1=1 --",
        "\u00e9",
        "1e9",
        str(2**63),
        f"0.{2**63}",
        "1.1",
        "-1.2",
        "1.2.3",
        "1.2\n",
        "\u0661.2",
        "cards/red.png",
    ],
)
def test_forged_cursors_are_refused(attacked: TestClient, cursor: str) -> None:
    refused(attacked.get(f"{SPACE}/records", params={"cursor": cursor}))
    page = {"selection": {}, "limit": 1, "cursor": cursor}
    refused(attacked.post(f"{SPACE}/store/page", json=page))


# -- pictures ------------------------------------------------------------------------------------


def uri(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{b64encode(data).decode()}"


def png(width: int, height: int) -> bytes:
    """A small file that says that it is so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*part)
        for part in ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(9**6), 9)), (b"IEND", b""))
    )


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1:9/a.png"/></svg>'
NO_PICTURES = {
    "a URL": "http://127.0.0.1:9/a.png",
    "a URL of metadata": "https://169.254.169.254/latest/meta-data/",
    "a file's URL": "file:///etc/passwd",
    "a path": "/etc/passwd",
    "a path from here": "../../etc/passwd",
    "HTML": uri(b"<script>alert(1)</script>", "text/html"),
    "not base64": "data:image/png,abc",
    "too many pixels": uri(png(60_000, 60_000)),
    "as many as there can be": uri(png(2**31 - 1, 2**31 - 1)),
    "more than the service takes": uri(png(7_100, 7_100)),
    "no pixels": uri(png(0, 0)),
}


@pytest.mark.parametrize("image", NO_PICTURES.values(), ids=NO_PICTURES)
def test_what_is_no_picture_is_neither_fetched_nor_decoded(
    attacked: TestClient, image: str
) -> None:
    refused(attacked.post(f"{SPACE}/search", json={"image": image}))
    refused(attacked.post(f"{SPACE}/records", json={"records": [{"image": image}]}))
    refused(attacked.post(f"{SPACE}/store/embed", json={"kind": "images", "images": [image]}))
    refused(attacked.post("/v1/embeddings", json={"input": [{"image": image}]}))
    assert attacked.get(f"{SPACE}/stats").json()["records"] == 7


def test_what_a_drawing_links_to_is_not_fetched(attacked: TestClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        link = f"http://127.0.0.1:{server.getsockname()[1]}/a.png"
        drawing = SVG.replace(b"http://127.0.0.1:9/a.png", link.encode())
        for image in (uri(drawing, "image/svg+xml"), uri(drawing)):
            found = attacked.post(f"{SPACE}/search", json={"image": image})
            assert found.status_code == 200, found.text
        form = FORM % (b"image", b'; filename="../../a.png"', drawing)
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        assert attacked.post(f"{SPACE}/search", content=form, headers=headers).status_code == 200
        with pytest.raises(BlockingIOError):
            server.accept()


def test_pictures_are_counted_before_they_are_looked_at(attacked: TestClient) -> None:
    image = "data:;base64,AA=="
    many: list[tuple[str, Any]] = [
        ("records", {"records": [{"image": image}] * 17}),
        ("records", {"records": [{"image": image}] * 1000}),
        ("search/batch", {"queries": [{"image": image}] * 17}),
        ("store/embed", {"kind": "images", "images": [image] * 17}),
    ]
    for path, body in many:
        answer = attacked.post(f"{SPACE}/{path}", json=body)
        refused(answer)
        assert "at most" in answer.text
    files = [("image", ("a.png", b"x"))] * 1000
    refused(attacked.post(f"{SPACE}/records", files=files))


# -- forms ---------------------------------------------------------------------------------------

FORM = b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n--x--\r\n'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        FORM % (b"query", b"", b"\xff\xfe{"),
        FORM % (b"query", b'; filename="q.json"', b"\xff\xfe{"),
        FORM % (b"query", b'; filename="../../etc/passwd"', b"[" * 3000),
        FORM % (b"query", b"", b'{"text": "\\ud800"}'),
        FORM % (b"\xff", b"", b"{}"),
        b"--x\r\nContent-Disposition: form-data\r\n\r\n{}\r\n--x--\r\n",
    ],
)
def test_forms_that_are_none(attacked: TestClient, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    refused(attacked.post(f"{SPACE}/search", content=body, headers=headers))
    refused(
        attacked.post(
            f"{SPACE}/search", content=body, headers={"Content-Type": "multipart/form-data"}
        )
    )


# -- methods and heads ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_method_is_what_it_says(attacked: TestClient, name: str) -> None:
    record = f"{SPACE}/records/cards%2Fred.png"
    refused(attacked.post(record, headers={name: "DELETE"}), 405)
    assert attacked.get(record, headers={name: "DELETE"}).status_code == 200
    assert attacked.get(f"{record}?_method=DELETE").status_code == 200
    assert attacked.get(record).status_code == 200


def test_no_other_site_is_told_that_it_may(attacked: TestClient) -> None:
    wants = {
        "Origin": "http://evil.example",
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Private-Network": "true",
    }
    for path in ("/v1/spaces", f"{SPACE}/search", f"{SPACE}/records/a", "/v1/embeddings", "/"):
        answer = attacked.options(path, headers=wants)
        assert answer.status_code == 405
        assert not [it for it in answer.headers if it.startswith("access-control")]


def test_nothing_that_was_sent_becomes_a_header(attacked: TestClient) -> None:
    for path in (
        f"{SPACE}/records/a%0d%0aSet-Cookie:%20b=1",
        "/v1/spaces/a%0d%0aSet-Cookie:%20b=1/stats",
        "/page/a%0d%0aSet-Cookie:%20b=1",
    ):
        answer = attacked.get(path)
        assert answer.status_code == 404
        assert "set-cookie" not in answer.headers
    wicked = "a\r\nSet-Cookie: b=1\u202e\x1b[2J<script>"
    record = {"id": wicked, "text": wicked, "metadata": {wicked: wicked}}
    assert attacked.post(f"{SPACE}/records", json={"records": [record]}).json() == {"ids": [wicked]}
    told = attacked.post(f"{SPACE}/search", json={"text": "a", wicked: 1})
    refused(told)
    for mark in ("\u202e", "\x1b", "\\u001b", "\r"):
        assert mark not in told.text
    found = attacked.post(f"{SPACE}/search", json={"text": "a", "ids": [wicked]})
    assert found.json()["hits"][0]["record"]["id"] == wicked  # data stay what they are
    assert found.headers["content-type"] == "application/json"
    assert found.headers["x-content-type-options"] == "nosniff"


def test_what_is_counted_is_bounded(attacked: TestClient) -> None:
    for number in range(50):
        attacked.request(f"M{number}", f"/a{number}")
        attacked.get(f"{SPACE}/records/{number}")
        attacked.get(f"/v1/spaces/{number}/stats")
    counted = attacked.get("/metrics").text
    assert counted.count("unisem_requests_total{") < 15
    assert "M49" not in counted
    assert "a49" not in counted


# -- several processes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        f"{SPACE}/records/a#b",
        f"{SPACE}/records/..",
        f"{SPACE}/records/.",
        "/v1/spaces/../records/a",
        f"{SPACE}/records/%2e%2e%2fcards",
    ],
)
async def test_who_writes_is_told_the_path_to_the_letter(tmp_path: Path, path: str) -> None:
    told: list[bytes] = []

    async def write(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.append((await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0])
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    async def nobody(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("it writes")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    statuses: list[int] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    place = tmp_path / "writer"
    async with await asyncio.start_unix_server(write, place):
        scope = {
            "type": "http",
            "method": "DELETE",
            "path": path,
            "query_string": b"a=%2e&b",
            "headers": [(b"host", b"localhost")],
        }
        await Forwarding(nobody, place, ServiceSettings())(scope, receive, send)
    assert statuses == [204]
    assert told == [b"DELETE " + path.encode("latin-1") + b"?a=%2e&b HTTP/1.1"]
