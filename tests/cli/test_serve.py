"""``unisem serve``: what is refused before anything is served."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace


@pytest.fixture
def made(tmp_path: Path, toy: ToyEncoder) -> Path:
    """An empty space."""
    path = tmp_path / "three.unisem"
    SemanticSpace.open(path, encoder=toy).close()
    return path


def test_what_is_refused(run: Run, made: Path, tmp_path: Path) -> None:
    def refused(*arguments: object) -> str:
        result = run("serve", *arguments, "--port", 0)
        assert result.exit_code in (1, 2)
        return " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.output).split())

    assert "--token-file" in refused(made, "--host", "0.0.0.0")
    assert "no space at" in refused(tmp_path / "nothing.unisem")
    assert not (tmp_path / "nothing.unisem").exists()
    assert "two spaces are called three" in refused(made, made)
    assert "limits are" in refused(made, "--limit", "speed=3")
    assert "no such number" in refused(made, "--limit", "k=many")
    assert "more than 0" in refused(made, "--limit", "k=0")
    assert "cannot be read" in refused(made, "--token-file", tmp_path / "none.toml")
    assert "name a space" in refused()
    assert "nothing is published" in refused("--replica", tmp_path / "nothing")
    assert "two spaces are called three" in refused(made, "--replica", "three=s3://bucket/photos")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = run("serve", str(made), "--port", port).output
        assert "cannot listen" in told
        assert "--port" in told


def test_a_folder_of_pictures_is_no_space_yet(
    run: Run, made: Path, cards: Path, tmp_path: Path
) -> None:
    def refused(path: Path) -> str:
        return run("serve", path, "--port", 0).output

    assert f"`unisem index {cards} --into {cards}.unisem`" in refused(cards)
    assert list(tmp_path.glob("cards*")) == [cards]
    made.rename(f"{cards}.unisem")
    assert f"do you mean {cards}.unisem?" in refused(cards)


def test_names_in_urls(tmp_path: Path) -> None:
    from unisem.cli.serve import named_spaces

    os.makedirs(tmp_path / "b.unisem")
    named = named_spaces([f"a={tmp_path}/x=y.unisem", f"{tmp_path}/b.unisem"])
    assert named == {"a": tmp_path / "x=y.unisem", "b": tmp_path / "b.unisem"}
    uri = "milvus://host:19530/photos?blobs=s3://bucket/photos"
    assert named_spaces([uri, f"c={uri}"]) == {"photos": uri, "c": uri}


def test_names_of_published_spaces() -> None:
    from unisem.cli.serve import named_sources

    sources = ["s3://bucket/photos/", "/mnt/cards.published", "b=s3://bucket/x=y", "/mnt/a=b/c"]
    assert named_sources(sources, taken=[]) == {
        "photos": "s3://bucket/photos/",
        "cards": "/mnt/cards.published",
        "b": "s3://bucket/x=y",
        "c": "/mnt/a=b/c",
    }


def test_without_its_extra_one_sentence_says_what_to_install(
    run: Run, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unisem.common.lazy.find_spec", lambda name: None)
    for command in ("serve", "mcp"):
        shown = run(command, made)
        assert shown.exit_code == 1
        assert isinstance(shown.exception, SystemExit), shown.exception
        (line,) = shown.stderr.strip().splitlines()
        assert 'pip install "unisem[service]"' in line
