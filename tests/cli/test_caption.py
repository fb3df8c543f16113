"""``unisem caption`` and ``unisem index --caption``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.support.captioners import ColourCaptioner
from tests.support.pictures import solid
from tests.support.toy import COLOURS, ToyEncoder
from unisem import SemanticSpace

WORDS = [*COLOURS, "tiger", "snow", "teapot", "harbour"]


@pytest.fixture
def wordless(tmp_path: Path) -> Path:
    """A folder of pictures without captions."""
    folder = tmp_path / "wordless"
    folder.mkdir()
    for colour in COLOURS:
        solid(colour).save(folder / f"{colour}.png")
    return folder


@pytest.fixture
def space(run: Run, wordless: Path, tmp_path: Path) -> Path:
    path = tmp_path / "wordless.unisem"
    assert run("index", wordless, "--into", path).exit_code == 0
    return path


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("# our words\n" + "\n".join(WORDS), encoding="utf-8")
    return path


def texts(space: Path) -> dict[str, str | None]:
    with SemanticSpace.open(space, encoder=ToyEncoder()) as opened:
        return {Path(it.id).stem: it.text for it in opened.store.select()}


def said(output: str) -> dict[str, str]:
    """A report's lines: what, how many."""
    rows = [line.rsplit(maxsplit=1) for line in output.splitlines() if not line.startswith("  ")]
    return {row[0].strip(): row[1] for row in rows if len(row) == 2}


def test_tags(run: Run, space: Path, vocabulary: Path) -> None:
    """The toy encoder knows colours, so that a red picture lies nearest to "red"."""
    done = run("caption", space, "--captioner", "tags", "--vocabulary", vocabulary)
    assert done.exit_code == 0, done.stderr
    assert texts(space) == dict.fromkeys(COLOURS), "nine words leave nothing 3.5 deviations above"
    assert said(done.stdout) == {"captioned": "0", "nothing to say": "6", "no caption": "0"}


def test_a_model(run: Run, space: Path, wordless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captioner = ColourCaptioner()
    monkeypatch.setattr("unisem.captioners.load_captioner", lambda *_, **__: captioner)
    (wordless / "red.png").unlink()
    done = run("caption", space, "--captioner", "colours")
    assert done.exit_code == 0
    assert said(done.stdout) == {"captioned": "5", "nothing to say": "0", "no caption": "1"}
    assert "red.png: does not exist" in done.stdout
    expected = {colour: f"a {colour} card" for colour in COLOURS} | {"red": None}
    assert texts(space) == expected
    again = run("index", wordless, "--into", space)
    assert said(again.stdout)["unchanged"] == "5"
    assert texts(space) == expected
    assert run("store", "check", space, "--images").exit_code == 1, "one picture is gone"
    hits: dict[str, Any] = json.loads(
        run("search", space, "card", "--filter", "caption_generated_by = colours", "--json").stdout
    )
    assert len(hits["hits"]) == 5
    undone = run("caption", space, "--undo", "--captioner", "another")
    assert undone.stdout.strip() == "removed 0 generated captions"
    undone = run("caption", space, "--undo")
    assert undone.stdout.strip() == "removed 5 generated captions"
    assert texts(space) == dict.fromkeys(COLOURS)
    assert captioner.asked == 5
    done = run("index", wordless, "--into", space, "--prune", "--caption", "colours")
    assert done.exit_code == 0
    assert said(done.stdout)["known already"] == "5"
    assert texts(space) == {name: text for name, text in expected.items() if text}
    assert captioner.asked == 5


def test_the_cache_is_none_of_a_spaces_records(run: Run, space: Path, tmp_path: Path) -> None:
    with SemanticSpace.open(space, encoder=ToyEncoder()) as opened:
        assert opened.path is not None
    cache = space / "captions.sqlite"
    cache.write_bytes(b"no database" * 1000)
    done = run("caption", space, "--captioner", "tags")
    assert done.exit_code == 1
    assert "captions.sqlite: the cache of captions cannot be used" in done.stderr
    assert "delete it" in done.stderr
    cache.unlink()
    assert run("caption", space, "--captioner", "tags").exit_code == 0
    assert cache.is_file()
    assert run("store", "check", space).exit_code == 0
    assert run("store", "backup", space, tmp_path / "copy.unisem").exit_code == 0
    assert run("store", "check", tmp_path / "copy.unisem").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "name a captioner"),
        (("--captioner", "nothing"), 1, "no captioner 'nothing'"),
        (("--captioner", "tags", "--vocabulary", "short.txt"), 2, "8 different tags"),
        (("--undo", "--prompt", "a"), 2, "--captioner only"),
    ],
)
def test_refusals(run: Run, space: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    Path("short.txt").write_text("cat\ndog\n")
    done = run("caption", space, *arguments)
    assert done.exit_code == code
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert run("caption", "nowhere.unisem", "--captioner", "tags").exit_code == 1
