"""The scripts that are served are what the sources compile to. Needs npm's packages beside it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.page_scripts import COMPILER, HOME

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not COMPILER.exists(), reason="npm ci --prefix tests/service/page"),
]


def test_compiling_gives_the_scripts_that_are_served(tmp_path: Path) -> None:
    subprocess.run([COMPILER, "-p", HOME / "src", "--outDir", tmp_path], check=True)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    served = {path.name: path.read_bytes() for path in (HOME / "files").glob("*.js")}
    assert made == served
