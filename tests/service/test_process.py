"""A real process that serves a space of `mini`, and stops."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from unisem import Record, SemanticSpace
from unisem.errors import StoreLockedError


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A space of `mini` with three texts."""
    path = tmp_path / "three.unisem"
    with SemanticSpace.open(path) as space:
        space.add(Record(id=str(n), text=f"text {n}") for n in range(3))
    return path


@contextmanager
def serving(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that serves, and its URL."""
    command = [sys.executable, "-m", "unisem", "serve", *map(str, arguments), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = ""
            for line in process.stderr:
                said += line
                if found := re.search(r"serving at (http://[^\s;]+)", line):
                    break
            else:
                raise AssertionError(said)
            yield process, found[1]
        finally:
            process.kill()


def eventually(url: str, **options: object) -> httpx.Response:
    """The first answer of a service that is starting."""
    for _ in range(600):
        try:
            answer = httpx.get(url, timeout=60, **options)  # type: ignore[arg-type]
            if answer.status_code != 503:
                return answer
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_process_serves_and_stops(made: Path, number: signal.Signals) -> None:
    with serving(made) as (process, url):
        assert eventually(f"{url}/ready").status_code == 200
        found = httpx.post(f"{url}/v1/spaces/three/search", json={"text": "text 1", "k": 1})
        assert found.json()["hits"][0]["record"]["id"] == "1"
        added = httpx.post(f"{url}/v1/spaces/three/records", json={"records": [{"text": "a"}]})
        assert added.status_code == 200
        with SemanticSpace.open(made) as space:  # as `unisem index` does
            words = rf"being written by unisem serve at {url} \(process {process.pid} on "
            with pytest.raises(StoreLockedError, match=words):
                space.add([Record(text="b")])
        assert httpx.get(f"{url}/v1/spaces", headers={"Host": "evil"}).status_code == 421
        process.send_signal(number)
        assert process.wait(60) == 0
    with SemanticSpace.open(made) as space:
        assert len(space) == 4


def test_with_tokens_other_machines_may_ask(made: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.json"
    tokens.write_text(json.dumps({"tokens": [{"token": "0123456789abcdef"}]}), encoding="utf-8")
    tokens.chmod(0o600)
    with serving(made, "--host", "0.0.0.0", "--token-file", tokens) as (_, url):
        local = url.replace("0.0.0.0", "127.0.0.1")
        assert eventually(f"{local}/health").status_code == 200
        assert httpx.get(f"{local}/v1/spaces").status_code == 401
        headers = {"Authorization": "Bearer 0123456789abcdef", "Host": "photos.example"}
        assert httpx.get(f"{local}/v1/spaces", headers=headers).status_code == 200


def test_a_head_that_never_ends_is_hung_up_on(made: Path) -> None:
    with serving(made, "--limit", "seconds=0.3") as (_, url):
        eventually(f"{url}/health")
        place = ("127.0.0.1", int(url.rpartition(":")[2]))
        whole = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for first, head in ((b"", b""), (b"", b"GET / HT"), (whole, b"GET /")):
            with socket.create_connection(place, timeout=60) as connection:
                connection.sendall(first)
                if first:
                    assert connection.recv(4096)
                connection.sendall(head)
                while connection.recv(4096):
                    pass
