"""Encoders and splits that ``unisem train`` and ``unisem evaluate`` refuse in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.support.networks import save_bert, save_joint, save_vision, without_weights
from tests.support.pictures import solid


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures, each with two captions."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for number in range(12):
        solid((number * 20, 255 - number * 20, number * 7)).save(folder / f"{number}.png")
        titles = (f"a {number}", f"the {number}")
        rows += [{"filepath": f"{number}.png", "title": title} for title in titles]
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_joint(tmp_path_factory.mktemp("clip"))


def assert_one_line(result: Any, text: str) -> None:
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    errors = [line for line in result.output.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert text in errors[0]


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("broken", "its files lack text_projection"),
        ("texts", "has no image side: it embeds texts only"),
        ("pictures", "has no text side: it embeds pictures only"),
    ],
)
def test_an_encoder_that_cannot_do_it(
    run: Run, table: Path, tmp_path: Path, command: str, kind: str, text: str
) -> None:
    place, out = tmp_path / "model", tmp_path / "out"
    if kind == "broken":
        without_weights(save_joint(place), "text_projection")
    elif kind == "texts":
        save_bert(place)
    else:
        save_vision(place, "ViT")
    more = ["--output", out, "--epochs", 1] if command == "train" else []
    result = run(command, "--data", table, "--encoder", place, *more)
    assert_one_line(result, text)
    assert not out.exists()
    if command == "train":
        assert "distinct pictures" not in result.output  # said before they were checked


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize("part", ["1.5", "2.25"])
def test_what_is_neither_a_share_nor_a_number(
    run: Run, table: Path, clip: Path, command: str, part: str
) -> None:
    more = ["--output", "out"] if command == "train" else []
    result = run(command, "--data", table, "--encoder", clip, *more, "--held-out", part)
    assert result.exit_code == 2, result.output
    assert "--held-out" in result.output
    assert "whole number" in result.output


@pytest.mark.parametrize("part", ["22", "23", "24", "0.97"])
def test_too_much_held_out(run: Run, table: Path, clip: Path, part: str) -> None:
    result = run("train", "--data", table, "--encoder", clip, "--output", "out", "--held-out", part)
    assert_one_line(result, "held")
    assert "out fewer" in result.output


@pytest.mark.parametrize("more", [(), ("--held-out", "0.5")])
def test_a_limit_of_two_draws_two_pictures(
    run: Run, table: Path, clip: Path, more: tuple[str, ...]
) -> None:
    result = run("evaluate", "--data", table, "--encoder", clip, "--limit", 2, *more)
    assert result.exit_code == 0, result.output
    assert "4 pairs, 2 pictures, 4 captions" in result.stdout
