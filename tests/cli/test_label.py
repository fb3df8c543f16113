"""``unisem label``: a folder is labelled on the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.cli.conftest import Run
from tests.support.pictures import solid
from tests.support.toy import COLOURS, ToyEncoder
from unisem import SemanticSpace
from unisem.cli.app import application


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "wordless"
    folder.mkdir()
    for colour in COLOURS:
        solid(colour).save(folder / f"{colour}.png")
    return folder


def test_a_conversation(run: Run, folder: Path, tmp_path: Path) -> None:
    """A number, words, an undo, a skip, what means nothing, and the budget."""
    said = "1\nmy own card\nu\nmy card\ns\n77\nthe last\nnot asked any more\n"
    done = CliRunner().invoke(
        application(), ["label", str(folder), "--strategy", "random", "--budget", "3"], input=said
    )
    assert done.exit_code == 0, done.output
    assert "3 captions written; 2 pictures left to ask about" in done.stdout
    assert "drawn by lot" in done.stdout
    assert "there is no such suggestion" in done.stderr
    lines = (folder / "metadata.jsonl").read_text().splitlines()
    captions = [json.loads(line)["text"] for line in lines]
    assert captions[1:] == ["my card", "the last"]
    with SemanticSpace.open(tmp_path / "wordless.unisem", encoder=ToyEncoder()) as space:
        texts = [record.text for record in space.store.select() if record.text]
    assert sorted(texts) == sorted(captions)
    again = CliRunner().invoke(
        application(), ["label", str(tmp_path / "wordless.unisem")], input="q\n"
    )
    assert again.exit_code == 0, again.output
    assert "0 captions written; 2 pictures left to ask about" in again.stdout


def test_captions_without_files_outlive_the_next_run(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    """Of the same command, and of ``unisem index``."""
    place = tmp_path / "wordless.unisem"
    for said in ("my card\n", "q\n"):
        done = CliRunner().invoke(
            application(), ["label", str(folder), "--no-files", "--budget", "1"], input=said
        )
        assert done.exit_code == 0, done.output
    assert run("index", folder, "--into", place).exit_code == 0
    with SemanticSpace.open(place, encoder=ToyEncoder()) as space:
        assert [record.text for record in space.store.select() if record.text] == ["my card"]


def test_refusals(run: Run, folder: Path) -> None:
    assert run("label", folder / "red.png").exit_code == 1
    done = run("label", folder, "--strategy", "best")
    assert done.exit_code == 2
    assert "no strategy 'best'" in done.stderr
    done = run("label", folder, "--strategy", "disagreement")
    assert done.exit_code == 2
    assert "needs two encoders" in " ".join(done.stderr.replace("│", " ").split())
    done = run("label", folder.with_suffix(".unisem"), "--encoder", "mini")
    assert done.exit_code == 2


def test_options_of_the_encoder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder's space is made so, and a space's own encoder is asked for more."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def load(name: str, **options: Any) -> ToyEncoder:
        asked.append((name, options))
        return ToyEncoder()

    monkeypatch.setattr("unisem.encoders.load_encoder", load)
    monkeypatch.chdir(tmp_path)
    for what, options in (
        (folder, ["--encoder", "mine", "--dimension", "48", "--query-instruction", "a "]),
        (folder.with_suffix(".unisem"), ["--dtype", "bfloat16"]),
    ):
        done = CliRunner().invoke(application(), ["label", str(what), *options], input="q\n")
        assert done.exit_code == 0, done.output
    assert asked == [
        ("mine", {"dimension": 48, "query_instruction": "a "}),
        ("toy-0", {"dtype": "bfloat16", "local_only": True}),
    ]
