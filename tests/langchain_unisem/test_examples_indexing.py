"""`examples/langchain_indexing.py` as a program, run after run."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from tests.support.pictures import solid
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace

SCRIPT = Path(__file__).parents[2] / "examples" / "langchain_indexing.py"


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> list[str]:
    monkeypatch.setattr("unisem.space_parts.load_encoder", lambda name, **options: ToyEncoder())
    monkeypatch.setattr(sys, "argv", [SCRIPT.name, *map(str, arguments)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    return capsys.readouterr().out.splitlines()


def counts(added: int, skipped: int, deleted: int) -> str:
    return f"{added} added, 0 updated, {skipped} skipped, {deleted} deleted"


def test_in_step_with_a_folder(
    cards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "cards.unisem"
    with SemanticSpace.open(path, encoder=ToyEncoder()) as space:
        space.add([Record(id="note", text="not from the folder")])
    arguments = (cards, "--path", path)
    assert run(monkeypatch, capsys, *arguments) == [counts(6, 0, 0)]
    assert run(monkeypatch, capsys, *arguments) == [counts(0, 6, 0)]
    solid("blue", (9, 9)).save(cards / "red.png")
    (cards / "green.png").unlink()
    (cards / "black.png").write_bytes(b"not a picture")
    lines = run(monkeypatch, capsys, *arguments, "--question", "a red card")
    assert lines[0] == counts(1, 3, 3)
    assert lines[1].startswith(f"not used: {cards / 'black.png'} is not a picture")
    assert lines[2] == "red.png: a red card"
    assert len(lines) == 5
    with SemanticSpace.open(path, encoder=ToyEncoder()) as space:
        assert len(space) == 5
        assert space.get(["note"]) != [None]


def test_in_memory(
    cards: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = run(monkeypatch, capsys, cards, "--question", "a yellow card")
    assert lines[:2] == [counts(6, 0, 0), "yellow.png: a yellow card"]
