"""What a page links to or names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, anchors_of, name_of, prose_of

TOP = "unisem|langchain_unisem|llama_index_unisem|examples|tests|tools|benchmarks|docs"
MADE = re.compile(r"NAME|FORMAT|-N\b|[*…]")  # what stands for any name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if DOCS in page.parents:
            assert there == page or DOCS in there.parents, f"{target}: not on the site"
        assert not anchor or anchor in anchors_of(there), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_are_there(page: Path) -> None:
    named = re.findall(rf"`((?:{TOP})/[\w./*-]+)`", prose_of(page))
    assert {path for path in named if not MADE.search(path) and not (ROOT / path).exists()} == set()


def test_paths_to_pages_in_the_code_are_there() -> None:
    sources = [source for top in TOP.split("|") for source in (ROOT / top).rglob("*.py")]
    named = {
        (path, name_of(source))
        for source in sources
        for path in re.findall(r"docs/[\w/]+\.md", source.read_text(encoding="utf-8"))
    }
    assert named
    assert {(path, source) for path, source in named if not (ROOT / path).is_file()} == set()
