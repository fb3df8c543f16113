"""A space kept in step while its folder is changed, by whatever program and however much."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.support.pictures import noise
from tests.support.toy import ToyEncoder
from unisem import IngestReport, SemanticSpace
from unisem.ingest.folder_watch import FolderWatch
from unisem.ingest.pruning import Pruning

pytest.importorskip("watchfiles")


@dataclass
class Watched:
    """A folder that is watched, in a thread."""

    folder: Path
    space: SemanticSpace
    reports: list[IngestReport] = field(default_factory=list)
    missing: int = 0
    errors: list[BaseException] = field(default_factory=list)

    def holds(self, names: set[str]) -> bool:
        """Whether the space has records of these files, and of no others."""
        return {it.id for it in self.space.store.select()} == {f"photos/{it}" for it in names}

    def comes_to(self, condition: Callable[[], bool], seconds: float = 30) -> bool:
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.errors:
            if condition():
                return True
            time.sleep(0.05)
        return condition()


@contextmanager
def watching(tmp_path: Path, quiet: float = 0.1, inside: bool = False) -> Iterator[Watched]:
    folder = tmp_path / "photos"
    folder.mkdir()
    place = (folder if inside else tmp_path) / "s.unisem"
    with SemanticSpace.open(place, encoder=ToyEncoder()) as space:
        it = Watched(folder, space)
        stop = threading.Event()

        def changed() -> None:
            it.reports.append(space.add_folder(folder, prune=Pruning.STANDING))

        def missing() -> None:
            it.missing += 1

        def work() -> None:
            try:
                watch = FolderWatch(folder, changed, missing=missing, space=place, quiet=quiet)
                watch.run(stop)
            except BaseException as error:  # noqa: BLE001 - told by the test
                it.errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            assert it.comes_to(lambda: bool(it.reports))
            yield it
        finally:
            stop.set()
            started = time.monotonic()
            thread.join(20)
            assert not thread.is_alive()
            assert time.monotonic() - started < 5
        assert not it.errors


def test_what_is_written_renamed_and_deleted_is_followed(tmp_path: Path) -> None:
    with watching(tmp_path, inside=True) as it:
        noise(1).save(it.folder / "a.png")
        assert it.comes_to(lambda: it.holds({"a.png"}))
        (it.folder / "a.png").rename(it.folder / "b.png")
        noise(2).save(it.folder / "c.png")
        assert it.comes_to(lambda: it.holds({"b.png", "c.png"}))
        (it.folder / "c.png").unlink()
        assert it.comes_to(lambda: it.holds({"b.png"}))
        assert it.space.encoder.images_encoded == 2  # type: ignore[attr-defined]
        times = len(it.reports)
        (it.folder / ".git").mkdir()
        (it.folder / ".git" / "index").touch()
        time.sleep(0.5)
        assert len(it.reports) == times  # nor does what the space itself writes count


def test_what_the_caller_raises_is_the_caller_s(tmp_path: Path) -> None:
    def changed() -> None:
        raise FileNotFoundError("the space's own")

    with pytest.raises(FileNotFoundError, match="the space's own"):
        FolderWatch(tmp_path, changed, quiet=0.05).run(threading.Event())


def test_a_folder_that_goes_as_it_is_watched_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, tries, missing = threading.Event(), [], []

    def gone(*parts: object, **settings: object) -> Iterator[set[object]]:
        tries.append(parts)
        if len(tries) == 2:
            stop.set()
        raise FileNotFoundError("no such folder")
        yield set()

    monkeypatch.setattr("watchfiles.watch", gone)
    monkeypatch.setattr("unisem.ingest.folder_watch._LOOK", 0.2)
    began = time.monotonic()
    FolderWatch(tmp_path, lambda: None, missing=lambda: missing.append(1)).run(stop)
    assert time.monotonic() - began >= 0.2
    assert (len(tries), missing) == (2, [])


def saved_beside(path: Path, number: int) -> None:
    """As vim, GIMP and most others save."""
    noise(number).save(path.with_name(f".{path.name}.tmp"), format="PNG")
    path.with_name(f".{path.name}.tmp").replace(path)


def saved_in_place(path: Path, number: int) -> None:
    noise(number).save(path)


def saved_with_backup(path: Path, number: int) -> None:
    """As Emacs and Office save."""
    backup = path.with_name(f"{path.name}~")
    if path.exists():
        path.rename(backup)
    noise(number).save(path)
    backup.unlink(missing_ok=True)


def saved_slowly(path: Path, number: int) -> None:
    """As a browser, or a card reader, writes."""
    noise(number).save(path.with_suffix(".part"), format="PNG")
    data = path.with_suffix(".part").read_bytes()
    path.with_suffix(".part").unlink()
    with path.open("wb") as file:
        for start in range(0, len(data), 1000):
            file.write(data[start : start + 1000])
            file.flush()
            time.sleep(0.15)


@pytest.mark.slow
@pytest.mark.parametrize("save", [saved_beside, saved_in_place, saved_with_backup, saved_slowly])
def test_ways_in_which_programs_save(tmp_path: Path, save: Callable[[Path, int], None]) -> None:
    with watching(tmp_path) as it:
        for number in range(4):
            save(it.folder / "a.png", number)
            digest = _digest(it.folder / "a.png")
            assert it.comes_to(lambda digest=digest: _stored(it, "a.png") == digest), number
        assert it.holds({"a.png"})
        assert it.comes_to(lambda: not it.reports[-1].skipped)


@pytest.mark.slow
def test_a_thousand_changes_at_once_end_right_in_few_runs(tmp_path: Path) -> None:
    with watching(tmp_path, quiet=0.3) as it:
        data = [tmp_path / f"{number}.png" for number in range(1000)]
        for number, path in enumerate(data):
            noise(number).save(path)
        runs = len(it.reports)
        for number, path in enumerate(data):
            path.rename(it.folder / f"{number}.png")
        for number in range(0, 1000, 3):
            (it.folder / f"{number}.png").unlink()
        for number in range(1, 1000, 3):
            (it.folder / f"{number}.png").rename(it.folder / f"r{number}.png")
        names = {f"r{n}.png" if n % 3 == 1 else f"{n}.png" for n in range(1000) if n % 3}
        # A run is told of when it is done, which is after its last record is stored.
        assert it.comes_to(lambda: len(it.reports) > runs and it.holds(names), 120)
        print(f"{len(it.reports) - runs} runs")
        assert 1 <= len(it.reports) - runs <= 6
        embedded = it.space.encoder.images_encoded  # type: ignore[attr-defined]
        assert embedded <= 1000
        with SemanticSpace.open(None, encoder=ToyEncoder()) as fresh:
            fresh.add_folder(it.folder)
            assert {r.id: r.text for r in fresh.store.select()}.keys() == {
                r.id for r in it.space.store.select()
            }


@pytest.mark.slow
def test_a_folder_that_goes_and_comes_back_loses_nothing(tmp_path: Path) -> None:
    with watching(tmp_path) as it:
        for number in range(3):
            noise(number).save(it.folder / f"{number}.png")
        names = {f"{number}.png" for number in range(3)}
        assert it.comes_to(lambda: it.holds(names))
        for turn in range(3):
            it.folder.rename(tmp_path / "away")
            assert it.comes_to(lambda turn=turn: it.missing == turn + 1)
            assert it.holds(names)
            if turn == 1:  # as where a drive is mounted: an empty folder first
                it.folder.mkdir()
                time.sleep(3)
                assert it.holds(names)
                it.folder.rmdir()
            (tmp_path / "away").rename(it.folder)
            noise(10 + turn).save(it.folder / f"new{turn}.png")
            names.add(f"new{turn}.png")
            assert it.comes_to(lambda: it.holds(names))
        sub = it.folder / "sub"
        shutil.copytree(it.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("*.unisem"))
        (tmp_path / "copy").rename(sub)
        assert it.comes_to(lambda: len(it.space) == 12)
        (sub / "0.png").unlink()
        assert it.comes_to(lambda: len(it.space) == 11)
        shutil.rmtree(sub)  # which may be a drive
        assert it.comes_to(lambda: len(it.reports[-1].gone) == 5)
        assert len(it.space) == 11


@pytest.mark.slow
def test_it_rests_while_nothing_happens_and_memory_stays(tmp_path: Path) -> None:
    with watching(tmp_path) as it:
        for number in range(200):
            noise(number).save(it.folder / f"{number}.png")
        assert it.comes_to(lambda: len(it.space) == 200)
        time.sleep(3)
        process = psutil.Process()
        before, runs = process.cpu_times(), len(it.reports)
        time.sleep(20)
        after = process.cpu_times()
        used = (after.user + after.system) - (before.user + before.system)
        print(f"{used / 20:.2%} of a core at rest")
        assert used < 0.4
        assert len(it.reports) == runs
        sizes = []
        for turn in range(60):
            saved_beside(it.folder / "0.png", 1000 + turn)
            digest = _digest(it.folder / "0.png")
            assert it.comes_to(lambda digest=digest: _stored(it, "0.png") == digest)
            sizes.append(process.memory_info().rss)
        print(f"{(sizes[-1] - sizes[19]) / 40 / 1000:.1f} kB a change from the 20th to the 60th")
        assert sizes[-1] - sizes[19] < 8_000_000


def _digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def _stored(it: Watched, name: str) -> str | None:
    record = it.space.get([f"photos/{name}"])[0]
    return None if record is None or record.image is None else record.image.sha256
