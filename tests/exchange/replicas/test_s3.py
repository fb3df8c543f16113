"""Spaces that are published to S3, as moto's server plays it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import CorruptStoreError, StoreError, StoreLockedError
from unisem.exchange.replicas import PublishReport, Replica, publish_space
from unisem.exchange.replicas.places import depot_at
from unisem.exchange.replicas.version import OBJECTS, VERSIONS, object_name

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    pytest.importorskip("s3fs", reason="S3 needs the extra remote")
    server = pytest.importorskip("moto.server", reason="S3 is played by moto[s3,server]")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def place(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A place in an empty bucket."""
    import s3fs

    for name, value in (
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = tmp_path.name.replace("_", "-").lower()
    s3fs.S3FileSystem().mkdir(bucket)
    yield f"s3://{bucket}/some/photos"
    s3fs.S3FileSystem.clear_instance_cache()


def replica_of(place: str, cache: Path) -> Replica:
    return Replica.open(place, cache=cache, encoder=ToyEncoder())


def test_published_followed_and_pruned(space: SemanticSpace, place: str, tmp_path: Path) -> None:
    depot = depot_at(place)
    assert publish_space(space, place).is_new
    assert publish_space(space, place).sent == 0
    with replica_of(place, tmp_path / "cache") as replica:
        space.add([Record(id="new", text="new", image=encoded(solid("green")))])
        version = publish_space(space, place, keep=1).version
        assert len(depot.sizes(VERSIONS)) == 1
        assert depot.sizes(OBJECTS).keys() == {object_name(part) for part in version.parts}
        assert replica.refresh()
        assert not replica.refresh()
        with replica.held() as there:
            for record_id, colour in (("red", "red"), ("blue", "blue"), ("new", "green")):
                (record,) = there.get([record_id])
                assert record is not None
                assert record.image is not None
                assert record.image.read_verified() == encoded(solid(colour))


def test_of_two_at_once_one_is_told(space: SemanticSpace, place: str) -> None:
    depot = depot_at(place)
    with depot.alone() as sure:
        sure()
        with pytest.raises(StoreLockedError, match="is publishing to"):
            publish_space(space, place)
    done: list[PublishReport | StoreLockedError] = []

    def publish() -> None:
        for _ in range(3):
            try:
                done.append(publish_space(space, place))
            except StoreLockedError as error:
                done.append(error)

    threads = [threading.Thread(target=publish) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 9
    assert any(isinstance(it, PublishReport) for it in done)
    assert publish_space(space, place).version.number == 1


def test_what_is_damaged_is_refused(space: SemanticSpace, place: str, tmp_path: Path) -> None:
    depot = depot_at(place)
    version = publish_space(space, place).version
    part = object_name(version.files["catalog.sqlite"].parts[0])
    data = depot.read(part, 1 << 20)
    assert data is not None
    for damaged in (data[:-1], data + b"\0", b"\1" + data[1:]):
        depot.write(part, damaged)
        with pytest.raises(CorruptStoreError):
            replica_of(place, tmp_path / "cache")
    depot.remove([part])
    with pytest.raises(CorruptStoreError, match="lacks a part"):
        replica_of(place, tmp_path / "cache")
    publish_space(space, place)
    replica_of(place, tmp_path / "cache").close()


def test_what_cannot_be_reached_is_one_error(
    space: SemanticSpace, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    with pytest.raises(StoreError, match="is not there"):
        publish_space(space, "s3://no-such-bucket-here/photos")
    publish_space(space, place)
    replica_of(place, tmp_path / "cache").close()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError, match="cannot be reached"):
        publish_space(space, place)
    with replica_of(place, tmp_path / "cache") as replica:  # what is here is used
        assert replica.version.number == 1
