"""What ``docs/measured/conformance.md`` says is there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conformance.__main__ import FILES, OURS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "measured" / "conformance.md").read_text(encoding="utf-8")


def test_every_test_of_the_table_exists() -> None:
    folders = ("llama_index_unisem", "search", "third_party")
    sources = [path for name in folders for path in (ROOT / "tests" / name).glob("test_*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    there = set(re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE))
    table = PAGE.partition("## Defects")[2]
    named = set(re.findall(r"`(test_\w+)`", table))
    assert len(named) > 60
    assert named <= there


def test_the_runs_are_those_of_the_program() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == {"stock", *OURS}
    assert "tests/vector_stores" in FILES
