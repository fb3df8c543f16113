"""The agent's example script, on a small folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.chat_rules import broken_rule
from tests.support.chat_server import chat_server
from tests.support.toy import ToyEncoder

SCRIPT = Path(__file__).parents[2] / "examples" / "llama_index_agent.py"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr("unisem.space_parts.load_encoder", lambda name, **options: ToyEncoder())
    spec = importlib.util.spec_from_file_location("agent_example", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_searches_twice_and_prints_what_a_model_would_be_sent(
    example: ModuleType, cards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example.main(["Which card is red?", "--folder", str(cards)])
    printed = capsys.readouterr().out
    assert "7 texts and pictures in one space" in printed
    assert "> search {'query': 'Which card is red?'}" in printed
    assert "'image': 'cards/red.png', 'modality': 'image'" in printed
    assert printed.count("--- tool ---") == 2
    assert 'Picture 1, of "cards/red.png":\n<picture: image/png, ' in printed
    assert "the best picture is [cards/red.png]" in printed
    assert printed.rstrip().splitlines()[-5].split()[1] == "cards/red.png"


def test_a_model_decides_what_to_search_for(
    example: ModuleType,
    cards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replies = [[("search", {"query": "red"})], "It is [cards/red.png]."]
    with chat_server(replies, rule=broken_rule) as server:
        monkeypatch.setenv("OPENAI_API_BASE", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "x")
        arguments = ["Which?", "--folder", str(cards), "--space", str(tmp_path / "cards.unisem")]
        example.main([*arguments, "--llm", "gpt-4o"])
        assert "It is [cards/red.png]." in capsys.readouterr().out
        assert len(server.images()) >= 2
        assert (tmp_path / "cards.unisem" / "manifest.json").exists()
