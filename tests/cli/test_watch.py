"""``unisem watch``: as a program, with its end."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_program import start
from tests.support.pictures import noise
from tests.support.toy import ToyEncoder
from tests.support.waiting import until
from unisem import SemanticSpace
from unisem.ingest.folder_watch import FolderWatch

pytest.importorskip("watchfiles")


def test_what_is_told_while_a_folder_changes(
    run: Run, cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def three_times(self: FolderWatch, stop: object) -> None:
        self._changed()
        (cards / "red.png").rename(cards / "rot.png")
        (cards / "red.txt").rename(cards / "rot.txt")
        (cards / "blue.png").unlink()
        (cards / "blue.txt").unlink()
        self._changed()
        self._missing()
        self._changed()
        raise KeyboardInterrupt

    monkeypatch.setattr(FolderWatch, "run", three_times)
    done = run("watch", cards, "--into", "s.unisem", "--prune")
    assert done.exit_code == 130
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["added", "7"]
    assert [line.split("  ", 1)[1] for line in lines[4:]] == ["1 renamed, 1 removed"]
    told = done.stderr.splitlines()
    assert told[0] == f"watching {cards}; Ctrl-C ends"
    assert told[1].endswith("is not there; nothing is removed, and it is waited for")
    assert told[2] == "Ended. What is done is kept: 6 records in s.unisem."


@pytest.mark.parametrize("said", [(), ("--no-prune",)])
def test_what_has_gone_stays_unless_asked(
    run: Run, cards: Path, monkeypatch: pytest.MonkeyPatch, said: tuple[str, ...]
) -> None:
    if said:
        run("index", cards, "--into", "s.unisem", "--prune")

    def twice(self: FolderWatch, stop: object) -> None:
        self._changed()
        (cards / "red.png").unlink()
        (cards / "red.txt").unlink()
        self._changed()

    monkeypatch.setattr(FolderWatch, "run", twice)
    done = run("watch", cards, "--into", "s.unisem", *said, "--json")
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [it["gone"] for it in reports] == [[], ["cards/red.png"]]
    assert [it["removed"] for it in reports] == [0, 0]


def test_what_has_gone_goes_where_that_was_asked_once_and_it_was_deleted(
    run: Run, cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cards / "usb").mkdir()
    noise(1).save(cards / "usb" / "a.png")
    run("index", cards, "--into", "s.unisem", "--prune")

    def three_times(self: FolderWatch, stop: object) -> None:
        self._changed()
        (cards / "red.png").unlink()
        (cards / "red.txt").unlink()
        self._changed()
        (cards / "usb" / "a.png").unlink()
        self._changed()
        self._changed()

    monkeypatch.setattr(FolderWatch, "run", three_times)
    done = run("watch", cards, "--into", "s.unisem", "--exclude", "blue.*")
    assert "gone: 1 file (cards/blue.png), kept, as left out now" in done.stdout
    lines = done.stdout[done.stdout.index("  1 removed") :].splitlines()
    assert [line.split("  ", 1)[1] for line in lines if "  " in line] == ["1 removed", "1 gone"]
    assert "gone: 2 files (cards/blue.png, cards/usb/a.png), kept, as left out" in done.stdout


def test_pictures_without_a_look_are_looked_for_once(
    run: Run, cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def three_times(self: FolderWatch, stop: object) -> None:
        self._changed()
        noise(1).save(cards / "new.png")
        self._changed()
        self._changed()

    monkeypatch.setattr(FolderWatch, "run", three_times)
    monkeypatch.setattr("unisem.ingest.looking.remember_looks", lambda *a, **b: asked.append(a))
    assert run("watch", cards, "--into", "s.unisem").exit_code == 0
    assert len(asked) == 1
    with SemanticSpace.open("s.unisem", encoder=ToyEncoder()) as space:
        (record,) = space.get(["cards/new.png"])
    assert record is not None
    assert record.image is not None
    assert record.image.look is not None  # which it has had from the start


def test_a_name_that_is_no_unicode_is_told_as_json(
    run: Run, cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        (cards / "half\udcff.png").write_bytes(b"no picture")
    except OSError:
        pytest.skip("this disk has names in Unicode only")
    monkeypatch.setattr(FolderWatch, "run", lambda self, stop: self._changed())
    done = run("watch", cards, "--into", "s.unisem", "--json")
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["skipped"][0]["name"].endswith("half\udcff.png")


def test_a_folder_that_is_none_is_one_line(run: Run, tmp_path: Path) -> None:
    done = run("watch", tmp_path / "none", "--into", "s.unisem")
    assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
    assert not (tmp_path / "home" / "s.unisem").exists()


@pytest.mark.slow
def test_ctrl_c_ends_it_within_two_seconds(cards: Path, tmp_path: Path) -> None:
    watch = start("watch", cards, "--into", "s.unisem", "--json", cwd=tmp_path)
    assert watch.stdout is not None
    assert json.loads(watch.stdout.readline())["added"] == 7
    noise(1).save(cards / "new.png")
    until(lambda: json.loads(watch.stdout.readline())["added"] == 1)  # type: ignore[union-attr]
    began = time.monotonic()
    watch.send_signal(signal.SIGINT)
    _, errors = watch.communicate(timeout=60)
    assert time.monotonic() - began < 2
    assert watch.returncode == 130
    assert errors.splitlines()[-1] == "Ended. What is done is kept: 8 records in s.unisem."
