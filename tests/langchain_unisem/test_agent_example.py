"""The agent's example does what it says."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

from tests.support.chat_rules import broken_rule
from tests.support.chat_server import chat_server
from tests.support.pictures import colour_folder
from tests.support.toy import ToyEncoder

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with a folder ``photos``, the toy encoder in place of ``mini``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("unisem.space_parts.load_encoder", lambda name, **options: ToyEncoder())
    colour_folder(tmp_path / "photos")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    script = ROOT / "examples" / "langchain_agent.py"
    monkeypatch.setattr(sys, "argv", [script.name, *arguments, "--folder", "photos"])
    runpy.run_path(str(script), run_name="__main__")


def test_without_a_model_it_prints_what_one_would_be_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "a red card", "a blue card", "-k", "1")
    first, second, rest = capsys.readouterr().out.split("(here the model would answer)\n")[:3]
    assert first.splitlines()[2:5] == [
        "human:",
        "    a red card",
        "ai: unisem_search({'query': 'a red card'})",
    ]
    assert '    <result id="photos/red.png" picture="40x30">a red card</result>' in first
    assert re.search(r'\n    "photos/red.png":\n    <image/png, [\d,]+ bytes>\n$', first)
    assert second.startswith(first), "the second request begins with the first"
    assert re.search(r'\n    "photos/blue.png":\n    <image/png, [\d,]+ bytes>\n$', second + rest)


def test_with_a_model_it_prints_the_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    search = [("unisem_search", {"query": "a red card"})]
    with chat_server([search, "It is photos/red.png.", "Red."], rule=broken_rule) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        run(monkeypatch, "Which?", "What colour?", "--llm", "openai:scripted")
    assert capsys.readouterr().out == "It is photos/red.png.\nRed.\n"
    assert server.image_bytes(1)[0] == Path("photos/red.png").read_bytes()
    assert server.image_bytes(2) == server.image_bytes(1)
