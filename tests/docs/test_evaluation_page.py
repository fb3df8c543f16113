"""The page about evaluation names every option."""

from __future__ import annotations

from typer.main import get_command

from tests.docs.pages import DOCS
from unisem.cli.app import application


def test_every_option_is_described() -> None:
    command = get_command(application()).commands["evaluate"]  # type: ignore[attr-defined]
    page = (DOCS / "guides" / "evaluation.md").read_text(encoding="utf-8")
    for parameter in command.params:
        for option in parameter.opts:
            assert f"`{option}" in page or f" {option}" in page, option
