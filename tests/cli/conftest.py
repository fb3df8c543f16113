"""The command line with the toy encoder: `unisem.space_parts.load_encoder` is the seam."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.support.toy import ToyEncoder
from unisem.cli.app import application
from unisem.encoders import Encoder

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> ToyEncoder:
    """The encoder that every command loads, whatever its name."""
    encoder = ToyEncoder()

    def load(name: str | Encoder, **options: object) -> Encoder:
        return name if isinstance(name, Encoder) else encoder

    monkeypatch.setattr("unisem.space_parts.load_encoder", load)
    return encoder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty working directory."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    runner = CliRunner()

    def program(*arguments: object) -> Result:
        said = [str(argument) for argument in arguments]
        return runner.invoke(application(said[0] if said else None), said)  # as `run` does

    return program


@pytest.fixture
def built(run: Run, cards: Path, tmp_path: Path) -> Path:
    """A space that `unisem index` made of the folder of cards."""
    space = tmp_path / "cards.unisem"
    assert run("index", cards, "--into", space).exit_code == 0
    return space
