"""``unisem demo``, with a gallery drawn here and a chat model that is scripted."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_page import read
from tests.support.chat_server import chat_server
from tests.support.pictures import colour_folder, solid
from unisem.cli.demo import QUESTIONS, SHOWN, find_gallery

REAL = Path(__file__).parents[2] / "examples" / "gallery"


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """A folder that has the pictures which the questions need."""
    folder = colour_folder(tmp_path / "gallery")
    (folder / "metadata.jsonl").touch()
    (folder / "images").mkdir()
    for question in QUESTIONS:
        if question.picture is not None:
            solid("blue").save(folder / question.picture)
    return folder


def test_it_asks_everything_and_writes_the_page(run: Run, gallery: Path) -> None:
    result = run("demo", "--gallery", gallery)
    assert result.exit_code == 0
    for question in QUESTIONS:
        assert question.kind in result.stdout
    assert "unisem search unisem-demo.unisem" in result.stdout
    seen = read(Path("unisem-demo.html"))
    headings = [text for text in seen.texts if text in {question.kind for question in QUESTIONS}]
    assert headings == [question.kind for question in QUESTIONS]
    assert "0 added" in run("demo", "--gallery", gallery).stdout


def test_the_query_picture_is_not_its_own_answer(run: Run, gallery: Path) -> None:
    run("demo", "--gallery", gallery, "--html", "page.html")
    texts = read(Path("page.html")).texts
    question = next(question for question in QUESTIONS if question.picture and not question.text)
    start = texts.index(question.kind)
    end = texts.index(QUESTIONS[QUESTIONS.index(question) + 1].kind)
    assert f"gallery/{question.picture}" not in texts[start:end]


def test_the_messages_of_both_frameworks_are_shown(run: Run, gallery: Path) -> None:
    output = run("demo", "--gallery", gallery).stdout
    langchain, llama_index = output.split("What LlamaIndex sends")
    spoken = [(langchain.split("What LangChain sends")[1], "human"), (llama_index, "user")]
    for part, role in spoken:
        assert role in part
        assert SHOWN in part
        assert "data:image/png;base64,iVBORw0K… (0." in part


def test_a_missing_framework_is_a_hint(
    run: Run, gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] in ("langchain_unisem", "llama_index_unisem"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "langchain_unisem", None)
    monkeypatch.setitem(sys.modules, "llama_index_unisem", None)
    result = run("demo", "--gallery", gallery)
    assert result.exit_code == 0
    assert "pip install 'unisem[langchain]'" in result.stderr
    assert "pip install 'unisem[llama-index]'" in result.stderr


def test_a_chat_model_answers(run: Run, gallery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with chat_server(["Cards, see [1].\x1b[31m [red]"]) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        result = run("demo", "--gallery", gallery, "--llm", "openai:gpt-5-mini")
        assert result.exit_code == 0
        assert "Cards, see [1].[31m [red]" in result.stdout
        assert SHOWN in server.text()
        sent = server.image_bytes()
    assert base64.b64encode(sent[0]).startswith(b"iVBORw0K")


@pytest.mark.parametrize("model", ["openai:gpt-5-mini", "nothing:at-all"])
def test_a_model_that_cannot_be_used_is_said_before_the_work(
    run: Run, gallery: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    result = run("demo", "--gallery", gallery, "--llm", model)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: cannot use the chat model '{model}': ")
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_a_model_that_does_not_answer_is_one_line(
    run: Run, gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    result = run("demo", "--gallery", gallery, "--llm", "openai:gpt-5-mini")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("error: openai:gpt-5-mini gave no answer")


def test_a_gallery_that_is_not_there_is_one_line(run: Run, tmp_path: Path) -> None:
    result = run("demo", "--gallery", tmp_path)
    assert result.exit_code == 1
    assert result.stderr == f"error: {tmp_path} is not the gallery: it has no metadata.jsonl\n"
    assert not Path("unisem-demo.unisem").exists()


def test_the_checkout_has_the_gallery_and_every_picture_that_is_asked_for() -> None:
    assert find_gallery() == REAL
    for question in QUESTIONS:
        assert question.picture is None or (REAL / question.picture).is_file()


def test_an_installed_package_brings_the_gallery_or_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "unisem"
    monkeypatch.setattr("unisem.__file__", str(package / "__init__.py"))
    with pytest.raises(FileNotFoundError, match="pass --gallery DIR"):
        find_gallery()
    (package / "gallery").mkdir(parents=True)
    (package / "gallery" / "metadata.jsonl").touch()
    assert find_gallery() == package / "gallery"
