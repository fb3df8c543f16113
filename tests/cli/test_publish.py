"""``unisem store publish`` and ``unisem store fetch``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_a_space_is_published_fetched_and_searched(
    run: Run, built: Path, cards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    place = tmp_path / "published"
    shown = run("store", "publish", built, place)
    assert shown.exit_code == 0, shown.output
    assert "published version 1" in shown.stdout
    assert "nothing has changed since version 1" in run("store", "publish", built, place).stdout
    told = json.loads(run("store", "publish", built, place, "--json").stdout)
    assert (told["version"], told["is_new"], told["sent"], told["missing"]) == (1, False, 0, [])
    for picture in cards.glob("*.png"):
        picture.unlink()
    fetched = run("store", "fetch", place)
    directory = Path(fetched.stdout.strip())
    assert directory.is_relative_to(tmp_path / "caches")
    assert run("store", "check", directory, "--images").stdout == "no problems\n"
    found = json.loads(run("search", directory, "red", "--json").stdout)
    assert found["hits"][0]["id"] == "cards/red.png"
    assert run("index", cards, "--into", directory).exit_code == 1


def test_pictures_that_are_gone_are_named(
    run: Run, built: Path, cards: Path, tmp_path: Path
) -> None:
    (cards / "red.png").unlink()
    shown = run("store", "publish", built, tmp_path / "published")
    assert shown.exit_code == 0
    assert f"not published: {cards / 'red.png'}" in " ".join(shown.stderr.split())


def test_what_cannot_be_published_is_one_line(run: Run, built: Path, tmp_path: Path) -> None:
    for arguments in (
        ("store", "publish", tmp_path / "nothing", tmp_path / "published"),
        ("store", "publish", built, "nonsense://bucket"),
        ("store", "fetch", tmp_path / "nothing", "--cache", tmp_path / "cache"),
    ):
        shown = run(*arguments)
        assert shown.exit_code == 1
        assert len(shown.stderr.strip().splitlines()) == 1, shown.stderr
