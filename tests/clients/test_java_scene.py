"""The whole scene: a folder of pictures, `unisem serve`, and a Java program that asks in words."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from unisem import SemanticSpace

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "examples" / "gallery" / "images"
TOKEN = "0123456789abcdef0123456789abcdef"
NAMES = ("black-cat-lying", "violin", "blue-bus", "cherry-pie", "eiffel-tower", "beagle", "harp")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """An empty space of `mini` behind `unisem serve`, which asks for a token; gives its URL."""
    SemanticSpace.open(tmp_path / "photos.unisem").close()
    tokens = tmp_path / "tokens.toml"
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    tokens.write_text(f'[[tokens]]\nsha256 = "{digest}"\nscope = "write"\n', encoding="utf-8")
    tokens.chmod(0o600)
    command = [sys.executable, "-m", "unisem", "serve", "photos.unisem", "--port", "0"]
    with subprocess.Popen(
        [*command, "--token-file", "tokens.toml"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        try:
            assert said.startswith("serving at http://"), said + process.stderr.read()
            yield said.removeprefix("serving at ").partition(";")[0]
        finally:
            process.terminate()


def retrieve(classes: Path, url: str, folder: Path, query: str, token: str) -> tuple[int, str, str]:
    run = subprocess.run(
        ["java", "-cp", str(classes), "ImageRetrieval", url, "photos", "photos", query, "3"],
        cwd=folder,
        env=os.environ | {"UNISEM_TOKEN": token},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout, run.stderr


def test_a_program_finds_pictures_by_their_pixels(
    classes: Path, served: str, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    for name in NAMES:
        shutil.copy(GALLERY / f"{name}.png", tmp_path / "photos")
    code, said, wrong = retrieve(classes, served, tmp_path, "a black cat", TOKEN)
    assert (code, wrong) == (0, "")
    first, *rest = said.splitlines()
    assert "black-cat-lying.png" in first
    assert len(rest) == 2
    found = (tmp_path / "found" / "1.png").read_bytes()
    assert found == (GALLERY / "black-cat-lying.png").read_bytes()

    code, _, wrong = retrieve(classes, served, tmp_path, "a black cat", "f" * 32)
    assert code != 0
    assert "401" in wrong
    assert "f" * 32 not in wrong
