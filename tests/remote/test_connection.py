"""What a connection does when a service is busy, gone, strange, or wants to lead elsewhere."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.clients.live import serving
from tests.remote.conftest import cards
from tests.service.test_tokens import ALL, READ, digest
from unisem import Record, SemanticSpace
from unisem.errors import FilterError, ServiceError, StoreLockedError
from unisem.remote import Connection
from unisem.service.http.app import create_app
from unisem.service.principals import Principal, Tokens
from unisem.wire import SpaceList

Answer = tuple[int, dict[str, str], bytes]
SPACES: Answer = (200, {}, b'{"spaces": []}')


@contextmanager
def scripted(*answers: Answer | None) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that answers so, one after the other; ``None`` breaks the connection."""
    left, asked = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            asked.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
            self.rfile.read(int(self.headers.get("content-length", 0)))
            answer = left.pop(0)
            if answer is None:
                self.close_connection = True
                return
            status, headers, body = answer
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = handle_any

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def problem(status: int, kind: str, detail: str, **headers: str) -> Answer:
    body = {"type": f"urn:unisem:{kind}", "title": "", "status": status, "detail": detail}
    return status, headers, json.dumps(body).encode()


def ask(url: str, **options: Any) -> SpaceList:
    return Connection(url, **options.pop("access", {})).ask(
        SpaceList, "POST", "/v1/spaces", **options
    )


BUSY = problem(429, "x", "too many", **{"Retry-After": "0"})
AWAY = problem(503, "x", "not now", **{"Retry-After": "0"})


def test_a_busy_service_is_asked_again() -> None:
    with scripted(BUSY, AWAY, SPACES) as (url, asked):
        assert ask(url).spaces == []
        assert len(asked) == 3


def test_what_writes_is_sent_again_only_where_nothing_was_done() -> None:
    with scripted(BUSY, AWAY) as (url, asked):
        with pytest.raises(ServiceError, match="not now") as caught:
            ask(url, again=False)
        assert caught.value.status == 503
        assert len(asked) == 2
    with scripted(None) as (url, asked):
        with pytest.raises(ServiceError, match="whether it was done is not known"):
            ask(url, again=False)
        assert len(asked) == 1


def test_what_reads_is_sent_again_when_the_connection_breaks() -> None:
    with scripted(None, SPACES) as (url, asked):
        assert ask(url).spaces == []
        assert len(asked) == 2
    with scripted(None, None, None) as (url, _), pytest.raises(ServiceError, match="not answer"):
        ask(url)


def test_who_is_busy_for_long_is_not_waited_for() -> None:
    with scripted(problem(429, "x", "full", **{"Retry-After": "9999"})) as (url, asked):
        with pytest.raises(ServiceError, match="full"):
            ask(url)
        assert len(asked) == 1


def test_nothing_goes_elsewhere() -> None:
    with scripted(SPACES) as (other, stolen):
        for status in (301, 302, 307, 308):
            leading = status, {"Location": f"{other}/v1/spaces"}, b""
            with (
                scripted(leading) as (url, _),
                pytest.raises(ServiceError, match="not followed"),
            ):
                ask(url, access={"token": "secret"})
        assert stolen == []


def test_a_token_is_sent_and_shown_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with scripted(SPACES) as (url, asked):
        ask(url, access={"token": "secret"})
        assert asked[0]["authorization"] == "Bearer secret"
        assert "secret" not in repr(Connection(url, "secret"))
    assert "plain text" not in caplog.text
    Connection("http://example.com", "secret")
    assert "plain text" in caplog.text
    assert "secret" not in caplog.text
    for token in ("", "a b", "a\nX: y", "ü"):
        with pytest.raises(ValueError, match="printable"):
            Connection("http://127.0.0.1", token)


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:80", "ftp://x", "file:///etc", "http://", "http://a:b@c", "http://h?q=1",
     "http://h:port", "http://h#f"],
)  # fmt: skip
def test_no_url_of_a_service(url: str) -> None:
    with pytest.raises(ServiceError):
        Connection(url)


def test_strange_answers_are_one_error() -> None:
    for body in (b"", b"<html>", b"[]", b'{"spaces": 3}', b"\xff"):
        with scripted((200, {}, body)) as (url, _), pytest.raises(ServiceError, match="understand"):
            ask(url)
    for status in (400, 404, 500, 502):
        with scripted((status, {}, b"<html>")) as (url, _), pytest.raises(ServiceError) as caught:
            ask(url)
        assert caught.value.status == status


def test_answers_have_a_largest_size() -> None:
    with scripted((200, {}, b"x" * 1000)) as (url, _), pytest.raises(ServiceError, match="more"):
        Connection(url).send("GET", "/", most=999)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("FilterError", FilterError),
        ("StoreLockedError", StoreLockedError),
        ("ValueError", ValueError),
        ("SystemExit", ServiceError),
        ("Exception", ServiceError),
    ],
)
def test_errors_are_of_known_kinds_only(kind: str, error: type[Exception]) -> None:
    wrong = problem(400, kind, "a field is wrong")
    with scripted(wrong) as (url, _), pytest.raises(error, match="a field is wrong"):
        ask(url)


def test_nobody_is_there() -> None:
    with pytest.raises(ServiceError, match="is the service running"):
        SemanticSpace.connect("http://127.0.0.1:9")


# -- with a service --------------------------------------------------------------------------------


def test_spaces_by_name(near: SemanticSpace) -> None:
    with serving(create_app({"a b/ü": near, "other": near})) as url:
        with pytest.raises(ServiceError, match=r"2 spaces for you \('a b/ü', 'other'\)"):
            SemanticSpace.connect(url)
        with pytest.raises(ServiceError, match=r"no space 'nothing' .*, but 'a b/ü', 'other'$"):
            SemanticSpace.connect(url, "nothing")
        for strange in (f"{url}/v1", f"{url}/v1/"):
            for name in (None, "other"):
                with pytest.raises(ServiceError, match=rf"/v1/? is not .*give its root, {url}$"):
                    SemanticSpace.connect(strange, name)
        with SemanticSpace.connect(f"{url}/", "a b/ü") as space:
            assert isinstance(space.place, str)
            place = space.place
        with SemanticSpace.connect(place) as space:
            assert space.place == place


def test_tokens(near: SemanticSpace) -> None:
    tokens = Tokens({digest(ALL): Principal("write"), digest(READ): Principal("read")})
    with serving(create_app({"cards": near}, tokens=tokens)) as url:
        for wrong in (None, "wrong-token-0123456789"):
            with pytest.raises(ServiceError) as caught:
                SemanticSpace.connect(url, token=wrong)
            assert caught.value.status == 401
            assert "pass token=" in str(caught.value)
        with SemanticSpace.connect(url, token=ALL) as space:
            space.add([Record(id="a", text="a card")])
        with SemanticSpace.connect(url, token=READ) as space:
            assert space.search("card")[0].record.id == "a"
            with pytest.raises(ServiceError, match="for reading only"):
                space.delete(["a"])


def test_whoever_sees_no_space_is_told_so(near: SemanticSpace) -> None:
    tokens = Tokens({digest(ALL): Principal("read", frozenset({"other"}))})
    with serving(create_app({"cards": near}, tokens=tokens)) as url:
        with pytest.raises(ServiceError, match=r"has no space for you; use a token"):
            SemanticSpace.connect(url, token=ALL)
        with pytest.raises(ServiceError, match=r"has no space 'cards' for you, but none$"):
            SemanticSpace.connect(url, "cards", token=ALL)


def test_threads_share_a_connection(far: SemanticSpace, folder: Path) -> None:
    far.add(cards(folder))
    expected = {text: far.search(text, k=5) for text in ("red", "a blue card", "noise")}
    with ThreadPoolExecutor(8) as pool:
        texts = list(expected) * 20
        for text, hits in zip(texts, pool.map(lambda it: far.search(it, k=5), texts), strict=True):
            assert hits == expected[text]


def in_child(action: Callable[[], bool]) -> int:
    child = os.fork()
    if child == 0:  # no test of the parent may go on here
        try:
            os._exit(0 if action() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_child_has_its_own_sockets(near: SemanticSpace, tmp_path: Path) -> None:
    near.add([Record(id="a", text="a card")])
    with scripted(*[SPACES] * 3) as (url, _):
        connection = Connection(url)
        ask_once = lambda: connection.ask(SpaceList, "GET", "/v1/spaces").spaces == []  # noqa: E731
        assert ask_once()
        assert in_child(ask_once) == 0
        assert ask_once()
