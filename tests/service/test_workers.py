"""Several processes over one space: what is answered is kept, whichever of them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.service.test_process import eventually, serving
from tests.support.waiting import until
from unisem import Record, SemanticSpace

SPACE = "/v1/spaces/many"


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A space of `mini`."""
    path = tmp_path / "many.unisem"
    with SemanticSpace.open(path) as space:
        space.add(Record(id=f"first-{n}", text=f"text {n}") for n in range(10))
    return path


def children(process: subprocess.Popen[str], role: str) -> list[psutil.Process]:
    """The processes that a supervisor has started."""
    found = []
    for child in psutil.Process(process.pid).children():
        with suppress(psutil.Error):  # it ends just now
            found += [child] if role in child.cmdline() else []
    return found


def added(url: str, name: str) -> bool:
    """Whether the service says that a record was added."""
    body = {"records": [{"id": name, "text": f"a text called {name}"}]}
    try:
        answer = httpx.post(f"{url}{SPACE}/records", json=body, timeout=60)
    except httpx.TransportError:  # the reader that had it was killed
        return False
    assert answer.status_code in (200, 503), answer.text
    return answer.status_code == 200


def test_readers_see_what_the_writer_wrote(many: Path) -> None:
    with serving(many, "--workers", "2") as (process, url):
        eventually(f"{url}/ready")
        assert added(url, "new")
        for _ in range(10):  # whichever reader answers
            got = httpx.get(f"{url}{SPACE}/records/new", timeout=60)
            assert got.status_code == 200
        query = {"text": "a text called new", "k": 1}
        found = httpx.post(f"{url}{SPACE}/search", json=query, timeout=60).json()
        assert found["hits"][0]["record"]["id"] == "new"
        changed = {"metadata": {"year": 2024}}
        assert httpx.patch(f"{url}{SPACE}/records/new", json=changed, timeout=60).is_success
        assert httpx.delete(f"{url}{SPACE}/records/first-0", timeout=60).json() == {"deleted": 1}
        missing = httpx.delete(f"{url}{SPACE}/records/first-0", timeout=60)
        assert missing.status_code == 404
        assert missing.headers["content-type"] == "application/problem+json"
        counted = httpx.get(f"{url}/metrics", timeout=60).text
        assert 'route="/v1/spaces/{space}/records",status="200"' in counted
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    with SemanticSpace.open(many) as space:
        assert len(space) == 10
        (record,) = space.get(["new"])
        assert record is not None
        assert record.metadata == {"year": 2024}


@pytest.mark.slow
def test_whoever_is_killed_nothing_acknowledged_is_lost(many: Path) -> None:
    with serving(many, "--workers", "2") as (process, url):
        eventually(f"{url}/ready")
        acknowledged: list[str] = []
        unanswered: list[str] = []
        stop = threading.Event()

        def write(thread: int) -> None:
            number = 0
            while not stop.is_set():
                number += 1
                name = f"{thread}-{number}"
                (acknowledged if added(url, name) else unanswered).append(name)

        def search() -> None:
            while not stop.is_set():
                body = {"text": "a text", "k": 3}
                try:
                    answer = httpx.post(f"{url}{SPACE}/search", json=body, timeout=60)
                except httpx.TransportError:
                    continue
                assert answer.status_code in (200, 503)

        threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
        threads.append(threading.Thread(target=search))
        for thread in threads:
            thread.start()
        try:
            for role in ("write", "read", "write"):
                before = len(acknowledged)
                until(lambda: len(acknowledged) > before + 3)  # noqa: B023
                (victim, *_) = children(process, role)
                os.kill(victim.pid, signal.SIGKILL)
                until(lambda: victim.pid not in [it.pid for it in children(process, role)])  # noqa: B023
                before = len(acknowledged)
                until(lambda: len(acknowledged) > before + 3)  # noqa: B023
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    with SemanticSpace.open(many) as space:
        kept = {record.id for record in space.store.select()}
        found = {hit.record.id for hit in space.search("a text", k=len(space))}
    assert set(acknowledged) <= kept == found
    assert kept <= {*acknowledged, *unanswered, *(f"first-{n}" for n in range(10))}


@pytest.mark.slow
def test_a_supervisor_that_is_killed_takes_the_others_along(many: Path) -> None:
    with serving(many, "--workers", "2") as (process, url):
        eventually(f"{url}/ready")
        others = [*children(process, "read"), *children(process, "write")]
        assert len(others) == 3
        process.kill()
        assert psutil.wait_procs(others, timeout=60)[1] == []


def test_what_cannot_begin_is_not_tried_for_ever(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "unisem", "serve", str(tmp_path / "none"), "--workers", "2"]
    done = subprocess.run(
        [*command, "--port", "0"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "no space at" in done.stderr
