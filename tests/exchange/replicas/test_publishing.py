"""What is published, what is sent again, and what stays where a publication ends early."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.exchange.replicas.conftest import opened
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from tests.support.waiting import until
from unisem import Record, SemanticSpace
from unisem.errors import CorruptStoreError, StoreError, StoreLockedError
from unisem.exchange.replicas import PublishReport, Replica, publish_space, publishing
from unisem.exchange.replicas.depot import LOCK, DirectoryDepot
from unisem.exchange.replicas.places import depot_at
from unisem.exchange.replicas.remote_depot import RemoteDepot
from unisem.exchange.replicas.version import OBJECTS, POINTER, VERSIONS, object_name
from unisem.images.library import ImageLibrary
from unisem.stores.faiss import FaissKind
from unisem.stores.maintenance import check_images


def replica_of(place: str, cache: Path) -> Replica:
    return Replica.open(place, cache=cache, encoder=ToyEncoder())


def test_a_replica_is_the_space_with_all_its_pictures(
    space: SemanticSpace, place: str, tmp_path: Path
) -> None:
    space.compact("flat")
    space.add([Record(id="later", text="later")])
    report = publish_space(space, place)
    assert report.is_new
    assert report.version.number == 1
    assert report.missing == ()
    (tmp_path / "photos" / "blue.png").unlink()
    with replica_of(place, tmp_path / "cache") as replica, replica.held() as there:
        assert [record.id for record in there.store.select()] == [
            record.id for record in space.store.select()
        ]
        for text in ("red", "a tiger", "later"):
            here = space.search(text=text, k=5)
            found = there.search(text=text, k=5)
            assert [(hit.record.id, hit.score, hit.matched) for hit in found] == [
                (hit.record.id, hit.score, hit.matched) for hit in here
            ]
        assert there.store.search_words("teapot", k=1)[0].record.id == "b"
        for record_id, colour in (("red", "red"), ("blue", "blue")):
            (record,) = there.get([record_id])
            assert record is not None
            assert record.image is not None
            assert record.image.read_verified() == encoded(solid(colour))
        path = there.path
        assert path is not None
        keeper = FaissKind().maintenance(path, ImageLibrary(path, []))
        assert [*keeper.check(), *check_images(keeper)] == []


def test_a_replica_cannot_be_changed(space: SemanticSpace, place: str, tmp_path: Path) -> None:
    publish_space(space, place)
    with replica_of(place, tmp_path / "cache") as replica, replica.held() as there:
        with pytest.raises(StoreError, match="replica's copy"):
            there.add([Record(id="new", text="new")])
        with pytest.raises(StoreError, match="replica's copy"):
            there.delete(["a"])
        with pytest.raises(StoreError, match="replica's copy"):
            there.compact()
        assert len(there) == 4


def test_only_what_has_changed_is_sent_again(space: SemanticSpace, place: str) -> None:
    first = publish_space(space, place)
    assert first.sent > 0
    again = publish_space(space, place)
    assert (again.is_new, again.sent) == (False, 0)
    assert again.version == first.version
    space.add([Record(id="green", image=encoded(solid("green")))])
    depot = depot_at(place)
    before = depot.sizes(OBJECTS)
    second = publish_space(space, place)
    new = depot.sizes(OBJECTS).keys() - before.keys()
    assert second.version.number == 2
    assert second.sent == sum(depot.sizes(OBJECTS)[name] for name in new)
    unchanged = {
        name for name, file in first.version.files.items() if second.version.files.get(name) == file
    }
    assert sum(name.startswith("blobs/") for name in unchanged) == 2
    assert "manifest.json" in unchanged


def test_older_versions_are_removed_and_never_the_newest(space: SemanticSpace, place: str) -> None:
    depot = depot_at(place)
    for number in range(5):
        space.add([Record(id=f"n{number}", text=f"text {number}")])
        report = publish_space(space, place, keep=2)
        assert len(depot.sizes(VERSIONS)) == min(2, number + 1)
    assert report.removed == 1
    space.delete(["red"])
    publish_space(space, place, keep=1)
    assert len(depot.sizes(VERSIONS)) == 1
    used = {f"{OBJECTS}/{it[:2]}/{it}" for it in publish_space(space, place).version.parts}
    assert depot.sizes(OBJECTS).keys() == used


def test_files_of_somebody_elses_stay_where_a_space_is_published(
    space: SemanticSpace, place: str
) -> None:
    depot = depot_at(place)
    foreign = [f"{OBJECTS}/cat.png", f"{OBJECTS}/ab/{'cd' * 19}", f"{VERSIONS}/.gitkeep"]
    unused = "ab" * 32
    left = [
        object_name(unused),
        f"{OBJECTS}/ab/.{unused}.0123456789abcdef.tmp",
        f"{VERSIONS}/.00000001-0123456789abcdef.json.0123456789abcdef.tmp",
    ]
    for name in (*foreign, *left):
        depot.write(name, b"1")
    publish_space(space, place, keep=1)
    found = {**depot.sizes(OBJECTS), **depot.sizes(VERSIONS)}
    assert found.keys() >= set(foreign)
    assert not found.keys() & set(left)


def test_what_was_removed_is_nowhere_in_what_is_published_nor_in_a_replica(
    space: SemanticSpace, tmp_path: Path
) -> None:
    """Neither its words nor its metadata nor its id, once no version that is kept has it."""
    place, cache = tmp_path / "published", tmp_path / "cache"
    space.add([Record(id="goner", text="a zanzibar", metadata={"name": "quetzalcoatl"})])
    space.compact("flat")

    def left() -> set[str]:
        files = [path for folder in (place, cache) for path in folder.rglob("*") if path.is_file()]
        return {
            word
            for word in ("zanzibar", "quetzalcoatl", "goner")
            if any(word.encode() in path.read_bytes() for path in files)
        }

    publish_space(space, place)
    with replica_of(str(place), cache) as replica:
        assert left() == {"zanzibar", "quetzalcoatl", "goner"}
        space.delete(["goner"])
        publish_space(space, place, keep=1)
        assert replica.refresh()
        with replica.held() as there:
            assert there.get(["goner", "a"])[0] is None
            assert len(there) == 4
    with replica_of(str(place), cache):
        assert left() == set()


def test_a_picture_that_is_gone_is_told_and_its_record_stays(
    space: SemanticSpace, place: str, tmp_path: Path
) -> None:
    (tmp_path / "photos" / "blue.png").unlink()
    report = publish_space(space, place)
    assert [it.name for it in report.missing] == [str(tmp_path / "photos" / "blue.png")]
    with replica_of(place, tmp_path / "cache") as replica, replica.held() as there:
        assert there.get(["blue"])[0] is not None


def test_a_space_that_is_written_meanwhile_is_published_as_it_was_at_one_moment(
    tmp_path: Path,
) -> None:
    """Each write replaces both records, so that no state has different ones."""
    stop, failures = threading.Event(), []
    place = str(tmp_path / "published")
    with opened(tmp_path / "s.unisem") as space:
        space.add([Record(id=i, text=f"{i} 0", metadata={"n": 0}) for i in "ab"])

        def write() -> None:
            try:
                for n in range(1, 10_000):
                    if stop.is_set():
                        return
                    picture = encoded(solid(("red", "green", "blue")[n % 3]))
                    space.add(
                        [
                            Record(id="a", text=f"a {n}", metadata={"n": n}),
                            Record(id="b", text=f"b {n}", image=picture, metadata={"n": n}),
                        ]
                    )
                    if n % 10 == 0:
                        space.compact()
            except Exception as error:  # noqa: BLE001 - shown below
                failures.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for number in range(4):
                publish_space(space, place, keep=9)
                cache = tmp_path / f"cache-{number}"
                with replica_of(place, cache) as replica, replica.held() as there:
                    a, b = there.get(["a", "b"])
                    assert a is not None
                    assert b is not None
                    assert a.metadata == b.metadata
                    if b.image is not None:
                        b.image.read_verified()
        finally:
            stop.set()
            thread.join()
    assert failures == []


class _Steps:
    """Kills this process at a step of what a depot does: before, within and after each write."""

    def __init__(self, deadly: int) -> None:
        self._left = deadly

    def pass_(self) -> None:
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1

    def install(self) -> None:
        write, remove, publish = DirectoryDepot.write, DirectoryDepot.remove, Path.write_bytes

        def writing(depot: DirectoryDepot, name: str, data: bytes) -> None:
            self.pass_()
            write(depot, name, data)
            self.pass_()

        def removing(depot: DirectoryDepot, names: list[str]) -> None:
            for name in names:
                self.pass_()
                remove(depot, [name])

        def halfway(path: Path, data: bytes) -> int:
            publish(path, data[: len(data) // 2])
            self.pass_()
            return publish(path, data)

        DirectoryDepot.write = writing  # type: ignore[method-assign]
        DirectoryDepot.remove = removing  # type: ignore[method-assign, assignment]
        Path.write_bytes = halfway  # type: ignore[method-assign, assignment]


def _killed_at(step: int, space: Path, place: str) -> bool:
    """Publish in a child that is killed at a step; whether it was."""
    child = os.fork()
    if not child:
        try:
            _Steps(step).install()
            publish_space(space, place, keep=1)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


@pytest.mark.parametrize("stride", [pytest.param(1, marks=pytest.mark.slow), 9])
def test_whenever_it_is_killed_one_whole_version_is_there(tmp_path: Path, stride: int) -> None:
    directory, place = tmp_path / "s.unisem", str(tmp_path / "published")
    with opened(directory) as space:
        space.add([Record(id="v", text="version 0", image=encoded(solid("red")))])
    publish_space(directory, place, keep=1)
    was, seen = 0, set()
    for number in range(1, 200):
        step = (number - 1) * stride
        with opened(directory) as space:
            colour = encoded(solid(("red", "green", "blue")[number % 3]))
            space.add([Record(id="v", text=f"version {number}", image=colour)])
        killed = _killed_at(step, directory, place)
        with replica_of(place, tmp_path / "cache") as replica:
            with replica.held() as there:
                (record,) = there.get(["v"])
                assert record is not None
                assert record.text in (f"version {was}", f"version {number}")
                assert record.image is not None
                record.image.read_verified()
                seen.add(record.text == f"version {number}")
            replica.refresh()
        if not killed:
            break
        publish_space(directory, place, keep=1)
        was = number
    else:
        raise AssertionError("there are more steps than were tried")
    assert step > 10
    assert seen == {True, False}
    depot = depot_at(place)
    used = {f"{OBJECTS}/{it[:2]}/{it}" for it in publish_space(directory, place).version.parts}
    assert depot.sizes(OBJECTS).keys() == used
    assert len(depot.sizes(VERSIONS)) == 1


def test_a_second_publisher_is_refused(space: SemanticSpace, place: str) -> None:
    publish_space(space, place)
    depot = depot_at(place)
    with depot.alone() as sure:
        sure()
        with pytest.raises(StoreLockedError, match="publishing to"):
            publish_space(space, place)
    assert not publish_space(space, place).is_new


def test_who_has_lost_the_place_changes_nothing_for_readers(
    space: SemanticSpace, tmp_path: Path
) -> None:
    """As happens to a process that was asleep for longer than it may be silent."""
    import fsspec

    place = f"memory://{tmp_path.name}"
    publish_space(space, place)
    files = fsspec.filesystem("memory")
    pointer = files.cat_file(f"/{tmp_path.name}/{POINTER}")
    space.add([Record(id="new", text="new")])
    depot = depot_at(place)
    pipe = files.pipe_file

    def taken(path: str, value: bytes, mode: str = "overwrite") -> None:
        pipe(path, value, mode=mode)
        if f"/{VERSIONS}/" in path:  # the last before the pointer
            lock = b'{"token": "another", "who": "another process", "at": 1e12}'
            pipe(f"/{tmp_path.name}/publishing.lock", lock)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(files), "pipe_file", lambda _, *given, **named: taken(*given, **named))
        with pytest.raises(StoreLockedError, match="nothing was changed"):
            publish_space(space, place)
    assert files.cat_file(f"/{tmp_path.name}/{POINTER}") == pointer
    with pytest.raises(StoreLockedError):  # the other's lock is not removed
        publish_space(space, place)
    lock = f"/{tmp_path.name}/publishing.lock"
    for damaged in (b"[" * 2000, b'{"token": "a", "who": "b", "at": 1' + b"0" * 400 + b"}"):
        files.pipe_file(lock, damaged)
        assert depot.claimed() == {"token": "", "who": "somebody", "at": 0.0}
    files.pipe_file(lock, b'{"token": "another", "who": "another process", "at": 1}')
    assert publish_space(space, place).is_new
    assert depot.read("publishing.lock", 1000) is None


def test_who_has_lost_the_place_removes_nothing(
    space: SemanticSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other's newer version looks like one that was never pointed to."""
    place = f"memory://{tmp_path.name}"
    publish_space(space, place)
    depot = depot_at(place)
    theirs = f"{VERSIONS}/00000002-{'0' * 16}.json"

    def staged(state: object) -> None:
        depot.write(theirs, b"{}")
        depot.write(LOCK, b'{"token": "another", "who": "another process", "at": 1e12}')

    real = publishing._sent
    monkeypatch.setattr(
        publishing,
        "_sent",
        lambda *given: (state := real(*given), staged(state))[0],
    )
    with pytest.raises(StoreLockedError, match="nothing was changed"):
        publish_space(space, place)
    assert theirs in depot.sizes(VERSIONS)


def test_who_publishes_says_so_again_while_nothing_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unisem.exchange.replicas.remote_depot._RENEWED", 0.01)
    depot = RemoteDepot(f"memory://{tmp_path.name}")
    with depot.alone():
        first = depot.claimed()
        until(lambda: depot.claimed() != first)
    assert depot.claimed() is None


def test_two_at_once_leave_a_whole_version(
    space: SemanticSpace, place: str, tmp_path: Path
) -> None:
    reports: list[PublishReport] = []
    refused: list[StoreLockedError] = []

    def publish() -> None:
        for _ in range(5):
            try:
                reports.append(publish_space(space, place))
            except StoreLockedError as error:
                refused.append(error)

    threads = [threading.Thread(target=publish) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reports) + len(refused) == 10
    assert reports
    assert len({report.version.number for report in reports}) == 1  # nothing was written
    with replica_of(place, tmp_path / "cache") as replica:
        assert replica.version.number == max(report.version.number for report in reports)


def test_what_is_damaged_at_the_place_is_mended_by_the_next_publication(
    space: SemanticSpace, tmp_path: Path
) -> None:
    place = tmp_path / "published"
    publish_space(space, place)
    (place / POINTER).write_text("{")
    with pytest.raises(CorruptStoreError, match="publish the space again"):
        replica_of(str(place), tmp_path / "cache")
    assert publish_space(space, place).version.number == 2
    for path in (place / OBJECTS).rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(CorruptStoreError, match="lacks a part"):
        replica_of(str(place), tmp_path / "cache")
    publish_space(space, place)
    with replica_of(str(place), tmp_path / "cache") as replica, replica.held() as there:
        assert len(there) == 4


def test_a_damaged_part_of_the_right_size_is_mended_where_that_is_asked_for(
    space: SemanticSpace, tmp_path: Path
) -> None:
    place = tmp_path / "published"
    version = publish_space(space, place).version
    wrong = [version.files[name].parts[0] for name in ("catalog.sqlite", "manifest.json")]
    wrong += [it.parts[0] for name, it in version.files.items() if name.startswith("blobs/")]
    for digest in wrong:
        path = place / object_name(digest)
        path.write_bytes(bytes(path.stat().st_size))
    assert publish_space(space, place).sent == 0
    with pytest.raises(CorruptStoreError, match="--check"):
        replica_of(str(place), tmp_path / "cache")
    report = publish_space(space, place, check=True)
    assert (report.is_new, report.sent > 0) == (False, True)
    with replica_of(str(place), tmp_path / "cache") as replica, replica.held() as there:
        assert len(there) == 4
    assert publish_space(space, place, check=True).sent == 0


def test_what_nobody_would_read_is_not_published(
    space: SemanticSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "MOST_VERSION", 100)
    with pytest.raises(StoreError, match="several spaces"):
        publish_space(space, tmp_path / "published")
    assert list((tmp_path / "published").glob("versions/*")) == []


def test_what_cannot_be_published_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="kind"):  # a URI is no directory
        publish_space("nonsense://host/space", tmp_path / "published")
    with pytest.raises(StoreError, match="there is no space"):
        publish_space(tmp_path / "nothing", tmp_path / "published")
    with opened(tmp_path / "s.unisem") as space:
        with pytest.raises(ValueError, match="keep"):
            publish_space(space, tmp_path / "published", keep=0)
        with pytest.raises(StoreError, match="unisem\\[remote\\]"):
            publish_space(space, "nonsense://bucket/photos")
    with SemanticSpace.open(None, encoder=ToyEncoder()) as space, pytest.raises(StoreError):
        publish_space(space, tmp_path / "published")
