"""Published spaces behind the service: newer versions come between requests; none fails."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.service.test_process import eventually, serving
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from tests.support.waiting import until
from unisem import Record, SemanticSpace
from unisem.errors import StoreError
from unisem.exchange.replicas import publish_space
from unisem.exchange.replicas.replica import Published
from unisem.service.http.app import create_app

SPACE = "/v1/spaces/cards"


def published_in(folder: Path, encoder: ToyEncoder | None = None) -> Published:
    return Published(folder / "published", cache=folder / "cache", encoder=encoder or ToyEncoder())


def versions_here(folder: Path) -> int:
    return len([path for path in (folder / "cache").glob("*/*") if path.is_dir()])


@pytest.fixture
def space(tmp_path: Path) -> Iterator[SemanticSpace]:
    """Five records, published once; `red` has a picture."""
    with SemanticSpace.open(tmp_path / "cards.unisem", encoder=ToyEncoder()) as space:
        space.add([Record(id="red", text="red", image=encoded(solid("red")))])
        space.add([Record(id=f"n{n}", text=f"text {n}") for n in range(4)])
        publish_space(space, tmp_path / "published")
        yield space


@pytest.fixture
def app(space: SemanticSpace, tmp_path: Path) -> FastAPI:
    """Serves it, and looks for newer versions only when it is told."""
    return create_app({}, replicas={"cards": published_in(tmp_path)}, refresh=1e6)


def refreshed(app: FastAPI) -> None:
    app.state.refresher.look()
    app.state.refresher.tidy()


def test_a_newer_version_is_served_and_named(
    app: FastAPI, space: SemanticSpace, tmp_path: Path
) -> None:
    with TestClient(app) as client:
        stats = client.get(f"{SPACE}/stats").json()
        assert (stats["version"]["number"], stats["records"], stats["writable"]) == (1, 5, False)
        assert 'unisem_replica_version{space="cards"} 1.0' in client.get("/metrics").text
        space.add([Record(id="green", text="green", image=encoded(solid("green")))])
        publish_space(space, tmp_path / "published")
        assert client.get(f"{SPACE}/records/green").status_code == 404
        refreshed(app)
        stats = client.get(f"{SPACE}/stats").json()
        assert (stats["version"]["number"], stats["records"]) == (2, 6)
        assert 'unisem_replica_version{space="cards"} 2.0' in client.get("/metrics").text
        for record_id, colour in (("red", "red"), ("green", "green")):
            picture = client.get(f"{SPACE}/records/{record_id}/image")
            assert picture.content == encoded(solid(colour))
        assert versions_here(tmp_path) == 1
        assert client.get("/v1/spaces").json()["spaces"][0]["records"] == 6
        assert client.get("/ready").status_code == 200


def test_nothing_can_be_written(app: FastAPI) -> None:
    with TestClient(app) as client:
        added = client.post(f"{SPACE}/records", json={"records": [{"text": "new"}]})
        assert added.status_code == 403
        assert client.delete(f"{SPACE}/records/red").status_code == 403
        changed = client.patch(f"{SPACE}/records/red", json={"metadata": {}})
        assert changed.status_code == 403


def test_a_spaces_own_stats_name_no_version(card_space: SemanticSpace) -> None:
    with TestClient(create_app({"cards": card_space})) as client:
        assert client.get(f"{SPACE}/stats").json()["version"] is None
        assert "unisem_replica_version{" not in client.get("/metrics").text


def test_what_cannot_be_had_changes_nothing_and_is_counted(
    app: FastAPI, space: SemanticSpace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with TestClient(app) as client:
        space.add([Record(id="new", text="new")])
        publish_space(space, tmp_path / "published")
        pointer = tmp_path / "published" / "latest.json"
        right = pointer.read_bytes()
        pointer.write_bytes(b"nonsense")
        for _ in range(3):
            refreshed(app)
        assert client.get(f"{SPACE}/stats").json()["version"]["number"] == 1
        assert 'unisem_replica_failures_total{space="cards"} 3.0' in client.get("/metrics").text
        told = [it.getMessage() for it in caplog.records if "served on" in it.getMessage()]
        assert len(told) == 1
        assert "version 1 is served on" in told[0]
        pointer.write_bytes(right)
        refreshed(app)
        assert client.get(f"{SPACE}/stats").json()["version"]["number"] == 2


def test_what_nobody_foresaw_does_not_end_the_looking(
    space: SemanticSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published, looks = published_in(tmp_path), list[int]()

    def newer(self: Published, than: object) -> None:
        looks.append(1)
        raise RuntimeError("unforeseen")

    app = create_app({}, replicas={"cards": published}, refresh=0.01)
    monkeypatch.setattr(Published, "newer", newer)
    with TestClient(app):
        until(lambda: len(looks) >= 2)


def test_an_endless_time_between_looks_is_no_error(
    space: SemanticSpace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app({}, replicas={"cards": published_in(tmp_path)}, refresh=1e300)
    with TestClient(app):
        refresher = app.state.refresher
        until(lambda: refresher._thread is not None)
        time.sleep(0.7)  # its first wait, and into the long one
        assert refresher._thread.is_alive()


def test_a_listing_goes_on_in_the_next_version_and_on_another_machine(
    app: FastAPI, space: SemanticSpace, tmp_path: Path
) -> None:
    other = create_app({}, replicas={"cards": published_in(tmp_path)}, refresh=1e6)
    with TestClient(app) as client, TestClient(other) as another:
        first = client.get(f"{SPACE}/records", params={"limit": 2}).json()
        space.add([Record(id="late", text="late")])
        publish_space(space, tmp_path / "published")
        refreshed(app)
        assert client.get(f"{SPACE}/stats").json()["version"]["number"] == 2
        ids = [record["id"] for record in first["records"]]
        for asked in (client, another):
            cursor, listed = first["cursor"], list(ids)
            while cursor is not None:
                page = asked.get(f"{SPACE}/records", params={"limit": 2, "cursor": cursor}).json()
                listed += [record["id"] for record in page["records"]]
                cursor = page["cursor"]
            assert listed == ["red", "n0", "n1", "n2", "n3"]


def test_a_listing_of_a_space_that_was_made_anew_begins_anew(
    app: FastAPI, space: SemanticSpace, tmp_path: Path
) -> None:
    with TestClient(app) as client:
        cursor = client.get(f"{SPACE}/records", params={"limit": 2}).json()["cursor"]
        with SemanticSpace.open(tmp_path / "anew.unisem", encoder=ToyEncoder()) as anew:
            anew.add([Record(id=f"m{n}", text=f"text {n}") for n in range(9)])
            publish_space(anew, tmp_path / "published")
        refreshed(app)
        assert client.get(f"{SPACE}/stats").json()["records"] == 9
        page = client.get(f"{SPACE}/records", params={"limit": 2, "cursor": cursor})
        assert page.status_code == 422
        assert page.json()["detail"].startswith("cursor is nothing that a listing gave")


def test_no_request_fails_and_each_is_of_one_version_while_versions_change(
    space: SemanticSpace, tmp_path: Path
) -> None:
    """Each version gives all records its own number."""
    place = tmp_path / "published"

    def publish(number: int) -> None:
        ids = ("tiger", "teapot", "tree")
        picture = encoded(solid((number, 0, 0)))
        space.add(
            [
                Record(id=i, text=f"{i} {number}", image=picture, metadata={"version": number})
                for i in ids
            ]
        )
        publish_space(space, place)

    publish(1)
    app = create_app({}, replicas={"cards": published_in(tmp_path)}, refresh=0.1)
    stop, failures, seen = threading.Event(), list[str](), set[int]()

    def ask(client: TestClient, request: Callable[[TestClient], httpx.Response]) -> None:
        while not stop.is_set():
            answer = request(client)
            if answer.status_code != 200:
                failures.append(answer.text)
                continue
            body = answer.json()
            records = body.get("records") or [hit["record"] for hit in body["hits"]]
            versions = {it["metadata"]["version"] for it in records if it["metadata"]}
            if len(versions) != 1:
                failures.append(answer.text)
            seen.update(versions)

    def searched(client: TestClient) -> httpx.Response:
        return client.post(f"{SPACE}/search", json={"text": "tiger", "k": 9, "neighbors": 1})

    def got(client: TestClient) -> httpx.Response:
        return client.post(f"{SPACE}/records/get", json={"ids": ["tiger", "teapot", "tree"]})

    def listed(client: TestClient) -> httpx.Response:
        return client.get(f"{SPACE}/records", params={"limit": 50})

    with TestClient(app) as client:
        threads = [
            threading.Thread(target=ask, args=(client, request))
            for request in (searched, searched, searched, searched, got, got, listed, listed)
        ]
        for thread in threads:
            thread.start()
        try:
            for number in range(2, 6):
                publish(number)
                until(lambda: number in seen)  # noqa: B023
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        until(lambda: versions_here(tmp_path) == 1)
    assert failures == []
    assert seen >= {2, 3, 4, 5}


def test_a_version_of_another_encoder_is_asked_by_that(
    space: SemanticSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two encoders by name, as on a machine that has both."""
    known = {f"toy-{seed}": ToyEncoder(seed=seed) for seed in (0, 1)}
    monkeypatch.setattr(
        "unisem.space_parts.load_encoder",
        lambda name, **_: known[name] if isinstance(name, str) else name,
    )
    published = Published(tmp_path / "published", cache=tmp_path / "cache")
    app = create_app({}, replicas={"cards": published}, refresh=1e6)
    with TestClient(app) as client:
        with SemanticSpace.open(tmp_path / "other.unisem", encoder=ToyEncoder(seed=1)) as other:
            other.add([Record(id="a", text="a tiger"), Record(id="b", text="a teapot")])
            publish_space(other, tmp_path / "published")
            wanted = other.search(text="a tiger", k=2)
        refreshed(app)
        found = client.post(f"{SPACE}/search", json={"text": "a tiger", "k": 2}).json()["hits"]
        assert [(it["record"]["id"], it["score"]) for it in found] == [
            (hit.record.id, hit.score) for hit in wanted
        ]
        assert client.get("/v1/models").json()["data"][0]["id"] == "toy-1"


def test_what_is_not_there_at_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nothing is published"):
        create_app({}, replicas={"cards": published_in(tmp_path)})


@pytest.mark.slow
def test_processes_that_serve_follow_what_is_published(tmp_path: Path) -> None:
    place, cache = tmp_path / "published", tmp_path / "cache"
    with SemanticSpace.open(tmp_path / "cards.unisem") as space:
        space.add([Record(id="a", text="a tiger")])
        publish_space(space, place)
        options = ("--refresh", "0.2", "--cache", cache, "--workers", "2")
        with serving("--replica", f"cards={place}", *options) as (process, url):
            eventually(f"{url}/ready")
            space.add([Record(id="b", text="a teapot")])
            publish_space(space, place)

            def number() -> int:
                return int(httpx.get(f"{url}{SPACE}/stats").json()["version"]["number"])

            until(lambda: [number() for _ in range(20)] == [2] * 20)  # whichever process answers
            assert httpx.get(f"{url}{SPACE}/records/b").status_code == 200
            until(lambda: versions_here(tmp_path) == 1)
            new = {"records": [{"text": "new"}]}
            assert httpx.post(f"{url}{SPACE}/records", json=new).status_code == 403
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
