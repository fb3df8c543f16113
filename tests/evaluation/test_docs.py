"""The page about evaluation does what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.pictures import colour_folder
from tests.support.toy import ToyEncoder
from unisem.cli.app import app

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "evaluation.md"


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the page's code leaves behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("unisem.encoders.load_encoder", lambda name: ToyEncoder())
    colour_folder(tmp_path / "photos")
    left: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), left)
    return left


def test_code_of_the_page_runs(names: dict[str, Any], tmp_path: Path) -> None:
    assert names["first"].task == "text to image"
    assert names["first"].measures["hit@10"].value == 1
    assert (tmp_path / "report.html").is_file()
    ndcg = names["Answers"].of(names["task"], names["vectors"]).ranking.ndcg(10)
    assert ndcg.tolist() == [1.0]  # the red card before the blue one


def test_every_field_of_the_json_is_described(names: dict[str, Any], tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    content = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))

    def fields(value: Any, path: tuple[str, ...] = ()) -> set[str]:
        if isinstance(value, list):
            return set().union(*(fields(item, path) for item in value)) if value else set()
        if not isinstance(value, dict):
            return set()
        if path[-1:] in (("tasks",), ("measures",), ("packages",), ("found",), ("present",)):
            return set().union(*(fields(item) for item in value.values()))
        found = set(value)
        for name, item in value.items():
            found |= fields(item, (*path, name))
        return found

    described = set(re.findall(r"`(\w+)", page))
    assert fields(content) - described == set()


def test_every_option_is_described() -> None:
    from typer.main import get_command

    command = get_command(app).commands["evaluate"]  # type: ignore[attr-defined]
    page = PAGE.read_text(encoding="utf-8")
    for parameter in command.params:
        for option in parameter.opts:
            assert f"`{option}" in page or f" {option}" in page, option
