"""What a reader gets: one whole version, the next one beside it, and nothing of a stranger's."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.exchange.replicas.conftest import opened
from tests.support.pictures import encoded, solid
from tests.support.processes import in_a_child
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import CorruptStoreError, EncoderError, StoreError
from unisem.exchange.replicas import Replica, publish_space
from unisem.exchange.replicas.places import depot_at
from unisem.exchange.replicas.replica import Published
from unisem.exchange.replicas.version import (
    OBJECTS,
    POINTER,
    Pointer,
    Version,
    digest_of,
    object_name,
)


def replica_of(place: str | Path, cache: Path) -> Replica:
    return Replica.open(place, cache=cache, encoder=ToyEncoder())


def folders(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.glob("*/*") if path.is_dir())


def test_a_newer_version_is_given_out_and_the_old_one_goes(
    space: SemanticSpace, place: str, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    publish_space(space, place)
    with replica_of(place, cache) as replica:
        assert not replica.refresh()
        space.add([Record(id="new", text="new", image=encoded(solid("green")))])
        publish_space(space, place)
        with replica.held() as before:
            assert replica.refresh()
            assert replica.version.number == 2
            assert before.get(["new"]) == [None]
            (red,) = before.get(["red"])
            assert red is not None
            assert red.image is not None
            assert red.image.read_verified() == encoded(solid("red"))
            assert len(folders(cache)) == 2
        with replica.held() as there:
            (new,) = there.get(["new"])
            assert new is not None
            assert new.image is not None
            new.image.read_verified()
        assert not replica.refresh()
        assert len(folders(cache)) == 1
        with pytest.raises(StoreError, match="closed"):
            before.get(["a"])


def test_unchanged_files_are_neither_fetched_nor_kept_twice(
    space: SemanticSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, cache = tmp_path / "published", tmp_path / "cache"
    publish_space(space, place)
    with replica_of(place, cache) as replica:
        space.add([Record(id="new", text="new", image=encoded(solid("green")))])
        before = replica.version.parts
        publish_space(space, place)
        read, names = type(depot_at(place)).read, []

        def noting(depot: Any, name: str, most: int) -> bytes | None:
            names.append(name)
            return read(depot, name, most)

        monkeypatch.setattr(type(depot_at(place)), "read", noting)
        with replica.held() as old:
            replica.refresh()
            fetched = {name.rpartition("/")[2] for name in names if name.startswith(OBJECTS)}
            assert fetched == replica.version.parts - before
            with replica.held() as new:
                assert old.path is not None
                assert new.path is not None
                names_of_both = [path.relative_to(old.path) for path in old.path.glob("blobs/*/*")]
                assert len(names_of_both) == 2
                for name in names_of_both:
                    assert (old.path / name).samefile(new.path / name)


def test_each_search_belongs_to_one_version_while_versions_change(tmp_path: Path) -> None:
    """Every version gives both records its own number."""
    place, cache = str(tmp_path / "published"), tmp_path / "cache"
    stop, failures, seen = threading.Event(), list[str](), set[int]()
    with opened(tmp_path / "s.unisem") as space:

        def publish(number: int) -> None:
            space.add(
                [
                    Record(id=i, text=f"{i} {number}", metadata={"version": number})
                    for i in ("tiger", "teapot", "tree")
                ]
            )
            publish_space(space, place)

        publish(1)
        with replica_of(place, cache) as replica:

            def search() -> None:
                while not stop.is_set():
                    try:
                        with replica.held() as there:
                            hits = there.search(text="tiger", k=3)
                            records = [hit.record for hit in hits] + [
                                it for it in there.get(["tiger", "tree"]) if it is not None
                            ]
                        versions = {record.metadata["version"] for record in records}
                        if len(records) != 5 or len(versions) != 1:
                            failures.append(f"{records}")
                        seen.update(versions)
                    except Exception as error:  # noqa: BLE001 - shown below
                        failures.append(repr(error))

            threads = [threading.Thread(target=search) for _ in range(8)]
            for thread in threads:
                thread.start()
            try:
                for number in range(2, 7):
                    publish(number)
                    assert replica.refresh()
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            replica.refresh()
            assert len(folders(cache)) == 1
    assert failures == []
    assert len(seen) >= 4


def _shortened(place: Path, version: Version) -> None:
    path = place / object_name(version.files["catalog.sqlite"].parts[0])
    path.write_bytes(path.read_bytes()[:-1])


def _changed(place: Path, version: Version) -> None:
    path = place / object_name(version.files["catalog.sqlite"].parts[0])
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)


def _lengthened(place: Path, version: Version) -> None:
    path = place / object_name(version.files["catalog.sqlite"].parts[0])
    path.write_bytes(path.read_bytes() + b" ")


def _missing(place: Path, version: Version) -> None:
    (place / object_name(version.files["catalog.sqlite"].parts[0])).unlink()


def _undescribed(place: Path, version: Version) -> None:
    (place / Pointer.to(version).description).unlink()


def _linked(place: Path, version: Version) -> None:
    path = place / object_name(version.files["catalog.sqlite"].parts[0])
    path.rename(place / "elsewhere")
    path.symlink_to(place / "elsewhere")


def _piped(place: Path, version: Version) -> None:
    path = place / object_name(version.files["catalog.sqlite"].parts[0])
    path.unlink()
    os.mkfifo(path)


def _unpointed(place: Path, version: Version) -> None:
    (place / POINTER).write_bytes(b"\0" * 1000)


@pytest.mark.parametrize(
    "damage",
    [_shortened, _changed, _lengthened, _missing, _undescribed, _linked, _piped, _unpointed],
)
def test_a_damaged_version_is_refused_and_the_present_one_stays(
    space: SemanticSpace, tmp_path: Path, damage: Callable[[Path, Version], None]
) -> None:
    place, cache = tmp_path / "published", tmp_path / "cache"
    publish_space(space, place)
    with replica_of(place, cache) as replica:
        space.add([Record(id=f"new {n}", text="new") for n in range(300)])
        space.close()
        version = publish_space(tmp_path / "s.unisem", place).version
        damage(place, version)
        with pytest.raises(StoreError):
            replica.refresh()
        assert replica.version.number == 1
        with replica.held() as there:
            assert len(there) == 4
        assert len(folders(cache)) == 1
    with replica_of(place, cache) as replica:  # as if started again: what is here is used
        assert replica.version.number == 1
    with pytest.raises(StoreError):
        replica_of(place, tmp_path / "another cache")


def test_what_is_here_is_used_while_the_place_cannot_be_reached(
    space: SemanticSpace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place, cache = tmp_path / "published", tmp_path / "cache"
    publish_space(space, place)
    replica_of(place, cache).close()
    place.rename(tmp_path / "away")
    with replica_of(place, cache) as replica, replica.held() as there:  # as what is not mounted
        assert len(there) == 4
    assert "version 1 is used, which is here" in caplog.text
    (place / POINTER).mkdir(parents=True)
    with replica_of(place, cache) as replica:
        assert replica.version.number == 1
    with pytest.raises(StoreError):
        replica_of(place, tmp_path / "another cache")


def _damaged_inside(told: dict[str, Any]) -> None:
    """The manifest's parts in the catalogue's place: all digests are right."""
    told["files"]["catalog.sqlite"] = told["files"]["manifest.json"]
    told["number"] += 1


def test_a_version_that_cannot_be_opened_is_fetched_once_and_an_older_one_used(
    space: SemanticSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, cache = tmp_path / "published", tmp_path / "cache"
    publish_space(space, place)
    replica_of(place, cache).close()
    _published_as(place, _damaged_inside, 2)
    taken = list[str]()
    real = Published._part
    monkeypatch.setattr(
        Published, "_part", lambda self, *given: (taken.append(given[0]), real(self, *given))[1]
    )
    published = Published(place, cache=cache, encoder=ToyEncoder())
    present = published.first()
    assert present.version.number == 1
    known = len(taken)
    for _ in range(2):
        published.tidy(present)
        assert len(folders(cache)) == 2
        with pytest.raises(StoreError):
            published.newer(present)
    assert len(taken) == known
    publish_space(space, place)
    newest = published.newer(present)
    assert newest is not None
    present.close()
    published.tidy(newest)
    assert len(folders(cache)) == 1
    newest.close()


def test_an_older_version_is_used_where_the_newest_ones_encoder_is_not(tmp_path: Path) -> None:
    place, cache = tmp_path / "published", tmp_path / "cache"
    with SemanticSpace.open(tmp_path / "one.unisem") as space:
        space.add([Record(id="a", text="a tiger")])
        publish_space(space, place)
    Replica.open(place, cache=cache).close()
    with opened(tmp_path / "other.unisem") as space:
        space.add([Record(id="a", text="a tiger")])
        publish_space(space, place)
    with Replica.open(place, cache=cache) as replica:
        assert replica.version.number == 1
    with pytest.raises(EncoderError):
        Replica.open(place, cache=tmp_path / "another cache")


def test_a_version_of_another_unisem_is_read_and_stays(
    space: SemanticSpace, tmp_path: Path
) -> None:
    place, cache = tmp_path / "published", tmp_path / "cache"
    publish_space(space, place)
    _published_as(place, lambda told: told.update(unisem="99.0"))
    assert not publish_space(space, place, keep=1).is_new
    with replica_of(place, cache) as replica:
        assert replica.version.made_by == "99.0"


def test_a_version_stays_while_its_directory_is_open(space: SemanticSpace, tmp_path: Path) -> None:
    place, cache = tmp_path / "published", tmp_path / "cache"
    publish_space(space, place)
    published = Published(place, cache=cache)
    local = published.fetched()
    local.release()
    with opened(local.folder) as there:
        space.add([Record(id="new", text="new")])
        publish_space(space, place)
        published.fetched().release()
        (red,) = there.get(["red"])
        assert red is not None
        assert red.image is not None
        red.image.read_verified()
        assert len(folders(cache)) == 2
    published.fetched().release()
    assert len(folders(cache)) == 1


def test_a_fetch_ends_between_parts_once_it_is_stopped(
    space: SemanticSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, cache = tmp_path / "published", tmp_path / "cache"
    publish_space(space, place)
    published = Published(place, cache=cache, encoder=ToyEncoder())
    real = Published._part
    monkeypatch.setattr(
        Published, "_part", lambda self, *given: (real(self, *given), self.stop())[0]
    )
    with pytest.raises(StoreError, match="nothing more is fetched"):
        published.first()
    assert folders(cache) == []


def test_room_is_needed_only_for_what_is_not_here(
    space: SemanticSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, cache = tmp_path / "published", tmp_path / "cache"
    publish_space(space, place)
    with replica_of(place, cache) as replica:
        _published_as(place, lambda told: told.update(number=2), 2)  # with the same files
        usage = shutil.disk_usage(tmp_path)._replace(free=(1 << 26) + 1)
        monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
        assert replica.refresh()
        with pytest.raises(StoreError, match="GB left"):
            replica_of(place, tmp_path / "another cache")


def test_a_copy_that_has_lost_a_file_is_fetched_anew(space: SemanticSpace, tmp_path: Path) -> None:
    place, cache = tmp_path / "published", tmp_path / "cache"
    publish_space(space, place)
    with replica_of(place, cache) as replica, replica.held() as there:
        path = there.path
    assert path is not None
    (path / "catalog.sqlite").unlink()
    with replica_of(place, cache) as replica, replica.held() as there:
        assert len(there) == 4


def _published_as(
    place: Path, tell: Callable[[dict[str, Any]], None], number: int | None = None
) -> None:
    """Publish the newest version as a stranger would who changes what is said of it."""
    pointer = Pointer.parsed((place / POINTER).read_bytes(), "pointer")
    told = json.loads((place / pointer.description).read_bytes())
    tell(told)
    data = json.dumps(told, separators=(",", ":")).encode() + b"\n"
    pointer = Pointer(number or pointer.number, digest_of(data), len(data))
    (place / pointer.description).write_bytes(data)
    (place / POINTER).write_bytes(pointer.to_bytes())


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "/tmp/outside",
        "blobs/../../outside",
        ".identity",
        "blobs/.hidden/x",
        "a//b",
        "a\\b",
        "",
        "a/b/c/d/e",
        "replica.json",
        "in-use.lock",
        "catalog.sqlite-wal",
        "catalog.sqlite-journal",
        "CATALOG.SQLITE-SHM",
        "x" * 300,
    ],
)
def test_no_name_of_a_strangers_leads_anywhere(
    space: SemanticSpace, tmp_path: Path, name: str
) -> None:
    place, cache = tmp_path / "published", tmp_path / "cache"
    publish_space(space, place)

    def tell(told: dict[str, Any]) -> None:
        told["files"][name] = told["files"]["manifest.json"]

    _published_as(place, tell)
    with pytest.raises(CorruptStoreError, match="no name of a file"):
        replica_of(place, cache)
    assert folders(cache) == []
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("number", 0),
        ("number", True),
        ("part_bytes", 1),
        ("part_bytes", 1 << 40),
        ("lineage", "../x"),
        ("files", []),
        ("files", {"a": [10]}),
        ("files", {"a": [-1]}),
        ("files", {"a": [1 << 60]}),
        ("files", {"a": [1, "00"]}),
        ("files", {"a": [1, "../../" + "0" * 58]}),
        ("format", 2),
    ],
)
def test_nothing_a_stranger_says_is_believed(
    space: SemanticSpace, tmp_path: Path, part: str, value: object
) -> None:
    place = tmp_path / "published"
    publish_space(space, place)
    _published_as(place, lambda told: told.update({part: value}))
    with pytest.raises(CorruptStoreError):
        replica_of(place, tmp_path / "cache")


def test_a_version_that_the_disk_does_not_hold_is_refused(
    space: SemanticSpace, tmp_path: Path
) -> None:
    place, cache = tmp_path / "published", tmp_path / "cache"
    publish_space(space, place)
    size = 1 << 43

    def tell(told: dict[str, Any]) -> None:
        told["part_bytes"] = 1 << 26
        told["files"] = {"a": [size, *["0" * 64] * (size >> 26)]}

    _published_as(place, tell)
    with pytest.raises(StoreError, match="GB left"):
        replica_of(place, cache)
    assert folders(cache) == []


def test_a_file_that_would_be_a_folder_too_is_refused(space: SemanticSpace, tmp_path: Path) -> None:
    place, cache = tmp_path / "published", tmp_path / "cache"
    publish_space(space, place)
    _published_as(
        place,
        lambda told: told["files"].update({"manifest.json/a": told["files"]["manifest.json"]}),
    )
    with pytest.raises(StoreError):
        replica_of(place, cache)
    assert folders(cache) == []


def test_processes_share_what_is_here_and_the_last_one_removes_it(
    space: SemanticSpace, tmp_path: Path
) -> None:
    place, cache = tmp_path / "published", tmp_path / "cache"
    publish_space(space, place)
    with replica_of(place, cache) as replica:
        space.add([Record(id="new", text="new")])
        publish_space(space, place)

        def another() -> None:
            with replica_of(place, cache) as other:
                other.refresh()  # which removes what nobody uses
                assert len(folders(cache)) == 2

        assert in_a_child(another) == "ok"
        with replica.held() as there:
            (red,) = there.get(["red"])
            assert red is not None
            assert red.image is not None
            red.image.read_verified()
        replica.refresh()
        assert len(folders(cache)) == 1


def test_a_version_of_another_encoder_takes_its_own(tmp_path: Path) -> None:
    place, cache = tmp_path / "published", tmp_path / "cache"
    with SemanticSpace.open(tmp_path / "one.unisem") as space:
        space.add([Record(id="a", text="a tiger")])
        publish_space(space, place)
    with Replica.open(place, cache=cache) as replica:
        with replica.held() as there:
            first = there.encoder
        with SemanticSpace.open(tmp_path / "one.unisem") as space:
            space.add([Record(id="b", text="a teapot")])
            publish_space(space, place)
        replica.refresh()
        with replica.held() as there:
            assert there.encoder is first
        with opened(tmp_path / "other.unisem") as space:
            space.add([Record(id="a", text="a tiger")])
            publish_space(space, place)
        with pytest.raises(Exception, match="toy-0"):  # it is known by nobody's name
            replica.refresh()
        assert replica.version.number == 2
