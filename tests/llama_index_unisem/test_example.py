"""The example script, on a small folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.chat_server import chat_server
from tests.support.toy import ToyEncoder

SCRIPT = Path(__file__).parents[2] / "examples" / "llama_index_query_engine.py"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr("unisem.space_parts.load_encoder", lambda name, **options: ToyEncoder())
    spec = importlib.util.spec_from_file_location("example", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_prints_the_messages_that_would_be_sent(
    example: ModuleType, cards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example.main(["Which card is red?", "--folder", str(cards)])
    printed = capsys.readouterr().out
    assert "7 texts and pictures in one space" in printed
    assert printed.count("--- user ---") == 1, "one call: the window is large enough"
    assert "<picture: image/png, " in printed
    assert '<result id="cards/red.png">' in printed
    assert "Query: Which card is red?" in printed
    assert printed.splitlines()[-4].split()[1] == "cards/red.png"


def test_asks_a_model_with_a_picture_and_keeps_the_space(
    example: ModuleType,
    cards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with chat_server(["The blue one."]) as server:
        monkeypatch.setenv("OPENAI_API_BASE", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "x")
        space = str(tmp_path / "cards.unisem")
        arguments = ["Like this?", "--folder", str(cards), "--space", space, "--llm", "gpt-4o"]
        for _ in range(2):
            example.main([*arguments, "--image", str(cards / "blue.png")])
        assert "Answer: The blue one." in capsys.readouterr().out
        assert len(server.requests) == 2
        assert len(server.images()) >= 3
        assert (tmp_path / "cards.unisem" / "manifest.json").exists()
