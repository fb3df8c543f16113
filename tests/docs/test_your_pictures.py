"""The guide for a person's pictures, word for word: its commands, and its Python between them.

What the commands say is looked at, too. A shell takes each block apart, as it would for whoever
copies it, and tells the words of each command; the program then gets them in this process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.docs.pages import DOCS, Block, blocks_of
from tests.support.pictures import encoded, noise
from unisem.cli.app import application
from unisem.ingest.folder_watch import FolderWatch

PAGE = DOCS / "guides" / "your_pictures.md"
_TELLS = """#!/bin/sh
exec "$TELLER" -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$(basename "$0")" "$@"
"""
_TYPED = {("unisem", "search", "pictures.unisem"): "a harbour\n:k 1\nboats\n"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with pictures in it, where ``unisem`` and ``pip`` tell what they are asked."""
    (tmp_path / "bin").mkdir()
    for name in ("unisem", "pip"):
        (tmp_path / "bin" / name).write_text(_TELLS)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    pictures = tmp_path / "Pictures"
    pictures.mkdir()
    for number, (name, taken) in enumerate([("old", "2023:01:01"), ("new", "2024:07:01")]):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = f"{taken} 21:00:00"
        noise(number).save(pictures / f"{name}.jpg", exif=exif)
    (pictures / "new.txt").write_text("a harbour at night", encoding="utf-8")
    pytest.importorskip("pillow_heif").register_heif_opener()
    (pictures / "IMG_1.HEIC").write_bytes(encoded(noise(7), "HEIF"))
    for name in ("IMG_1.MOV", "film.mov", "all.zip"):
        (pictures / name).write_bytes(b"0")
    return tmp_path


def test_the_guide_is_followed_to_the_letter(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("watchfiles")
    watched: list[FolderWatch] = []

    def until_ctrl_c(self: FolderWatch, stop: threading.Event) -> None:
        watched.append(self)
        noise(9).save(home / "Pictures" / "another.png")
        self._changed()
        raise KeyboardInterrupt

    monkeypatch.setattr(FolderWatch, "run", until_ctrl_c)
    names: dict[str, Any] = {"__name__": "page"}
    said: dict[str, str] = {}
    for block in blocks_of(PAGE):
        assert block.reason is None, f"line {block.line} is not run"
        if block.language == "python":
            code = "\n" * block.line + block.code
            exec(compile(code, PAGE.name, "exec"), names)
            continue
        assert block.language == "bash"
        for command in _commands(block, home):
            said[" ".join(command)] = _run(command)
    assert watched
    _holds(said, home)


def _commands(block: Block, home: Path) -> list[list[str]]:
    """The words of each command of a block, as a shell reads them."""
    path = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "HOME": str(home), "PATH": path, "TELLER": _python()}
    told = subprocess.run(
        ["sh", "-eu", "-c", block.code], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stderr == ""
    return [json.loads(line) for line in told.stdout.splitlines()]


def _python() -> str:
    found = shutil.which("python3")
    assert found is not None
    return found


def _run(command: list[str]) -> str:
    """Have a command do what it says; what it prints."""
    program, *arguments = command
    if program == "pip":
        extra = arguments[-1].removeprefix("unisem[").removesuffix("]")
        assert arguments == ["install", f"unisem[{extra}]"]
        assert extra in metadata("unisem").get_all("Provides-Extra", [])
        return ""
    typed = _TYPED.get(tuple(command))
    done = CliRunner().invoke(application(arguments[0]), arguments, input=typed)
    assert done.exit_code == (130 if arguments[0] == "watch" else 0), done.output
    return done.output


def _holds(said: dict[str, str], home: Path) -> None:
    """Whether the commands have said and written what the page promises."""
    pictures = home / "Pictures"
    index = said[f"unisem index {pictures} --into pictures.unisem"]
    assert "ignored: 1 .mov, 1 .zip" in index  # the other film belongs to its picture
    assert "pictures.unisem holds 3 records" in index
    night = "unisem search pictures.unisem a harbour at night"
    assert "new.jpg" in said[f"{night} --filter taken >= 2024-06-01"]
    assert "old.jpg" not in said[f"{night} --filter taken >= 2024-06-01"]
    watch = said[f"unisem watch {pictures} --into pictures.unisem"]
    assert watch.split()[:2] == ["added", "1"]
    assert "Ended. What is done is kept: 4 records" in watch
    assert (
        "nearly the same, 3 times"
        in said["unisem duplicates holiday.unisem --html duplicates.html"]
    )
    assert "sent.jpg" in (home / "duplicates.html").read_text(encoding="utf-8")
    assert said["unisem search pictures.unisem"].count("new.jpg") >= 1
    page = (home / "page.html").read_text(encoding="utf-8")
    assert "Pictures/new.jpg" in page
    assert 'data-path="' in page
