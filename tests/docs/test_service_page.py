"""The guide to the service names every option and limit, as they are."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from unisem.cli.app import application
from unisem.service.settings import LIMITS, ServiceSettings

DOCS = Path(__file__).resolve().parents[2] / "docs" / "guides"


def test_limits_are_those_that_there_are() -> None:
    text = (DOCS / "service.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", text, re.MULTILINE))
    defaults = ServiceSettings()
    assert listed == {name: str(getattr(defaults, name)) for name in LIMITS}


def test_options_are_those_that_there_are() -> None:
    command = get_command(application()).commands["serve"]  # type: ignore[attr-defined]
    options = {name for it in command.params for name in it.opts if name.startswith("--")}
    text = (DOCS / "command_line.md").read_text(encoding="utf-8")
    section = text.partition("## `unisem serve")[2].partition("\n## ")[0]
    assert set(re.findall(r"--[a-z]+[a-z-]*", section)) == options
