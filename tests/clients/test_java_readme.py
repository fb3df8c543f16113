"""What the Java client's page shows compiles without a warning, runs, and finds what it says."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.clients.java_client import SOURCES, compiled
from tests.clients.live import serving
from tests.docs.pages import blocks_of
from tests.support.pictures import encoded, noise
from unisem import SemanticSpace
from unisem.service.http.app import create_app

PAGE = SOURCES / "README.md"


def test_the_program_of_the_page_runs(classes: Path, space: SemanticSpace, tmp_path: Path) -> None:
    (block,) = [each for each in blocks_of(PAGE) if each.language == "java" and each.reason is None]
    source = tmp_path / "QuickStart.java"
    source.write_text(block.code, encoding="utf-8")
    made = compiled(tmp_path / "classes", source)
    (tmp_path / "dog.png").write_bytes(encoded(noise(0)))
    with serving(create_app({"photos": space})) as url:
        run = subprocess.run(
            ["java", "-cp", str(made), "QuickStart", url],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "dog: a dog in the park, by its text",
        "true",
        "dog",
        "2",
        "about",
        "422 k",
    ]


def test_files_of_the_page_are_there() -> None:
    root = SOURCES.parents[1]
    text = PAGE.read_text(encoding="utf-8")
    for name in ("UniSemClient.java", "ImageRetrieval.java"):
        assert f"`{name}`" in text
        assert (SOURCES / name).is_file()
    assert (root / "tests" / "clients" / "fixtures").is_dir()
