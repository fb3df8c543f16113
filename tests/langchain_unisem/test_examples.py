"""The examples do what they say."""

from __future__ import annotations

import doctest
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import langchain_unisem.filters
import langchain_unisem.image_documents
import langchain_unisem.queries
import langchain_unisem.structured_queries
from tests.support.chat_server import ChatServer, chat_server
from tests.support.pictures import colour_folder, solid
from tests.support.toy import ToyEncoder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a folder ``photos``, the toy encoder in place of ``mini``."""
    monkeypatch.chdir(tmp_path)
    for module in ("unisem.space_parts", "langchain_unisem.embeddings.unisem"):
        monkeypatch.setattr(f"{module}.load_encoder", lambda name, **options: ToyEncoder())
    solid("blue", (20, 20)).save(tmp_path / "query.jpg")
    return colour_folder(tmp_path / "photos")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A loopback server where langchain-openai looks for OpenAI's."""
    with chat_server(["Number [1]."]) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield running


def run_example(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["langchain_chain.py", *arguments])
    runpy.run_path(str(ROOT / "examples" / "langchain_chain.py"), run_name="__main__")


def test_example_prints_the_messages(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):  # the second time from the space on disk
        run_example(monkeypatch, "a red card", "--folder", str(workplace), "-k", "2")
        lines = capsys.readouterr().out.splitlines()
        assert lines[1] == "[1] <result>a red card</result>"
        assert re.fullmatch(r"    <image/png, [\d,]+ bytes>", lines[2])
        assert lines[-1] == "Question: a red card"
    assert (workplace.parent / "photos.unisem").is_dir()


def test_example_with_a_picture(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_example(monkeypatch, "this?", "--folder", "photos", "--image", "query.jpg", "-k", "1")
    lines = capsys.readouterr().out.splitlines()
    assert "blue card" in lines[1]
    assert lines[-2] == "Question: this? (with this picture)"
    assert lines[-1].startswith("    <image/jpeg, ")


def test_example_with_a_model(
    workplace: Path,
    server: ChatServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_example(monkeypatch, "a red card", "--folder", "photos", "--llm", "openai:scripted")
    assert capsys.readouterr().out == "Number [1].\n"
    assert "<result>a red card</result>" in server.text()


@pytest.mark.parametrize("picture", [[], ["--image", "query.jpg"]])
def test_example_of_the_vector_store(
    workplace: Path,
    picture: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = ROOT / "examples" / "langchain_vector_store.py"
    arguments = ["red" if not picture else "", "--folder", str(workplace), "-k", "2", *picture]
    for place in ([], ["--path", "s.unisem"], ["--path", "s.unisem"]):
        monkeypatch.setattr(sys, "argv", [script.name, *arguments, *place])
        runpy.run_path(str(script), run_name="__main__")
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 9
        assert lines[0] == "Everything:"
        assert {line.split()[1] for line in lines[4:6]} == {"cards:", "stripes:"}
        assert all(line.split()[1].endswith(".png:") for line in lines[7:])
        assert lines[7].split()[1] == ("blue.png:" if picture else "red.png:")


@pytest.mark.parametrize(
    "module",
    [
        langchain_unisem.filters,
        langchain_unisem.image_documents,
        langchain_unisem.queries,
        langchain_unisem.structured_queries,
    ],
)
def test_examples_in_docstrings(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
