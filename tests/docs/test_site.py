"""The site is built from the docs, without a warning."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    names = [page.relative_to(DOCS) for page in DOCS.rglob("*.md")]
    names += [page.relative_to(DOCS).with_suffix(".md") for page in DOCS.rglob("*.ipynb")]
    assert {name.as_posix() for name in names} == set(re.findall(r"[\w/]+\.md", menu))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(built)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return built


def test_public_names_are_in_the_reference(site: Path) -> None:
    import langchain_unisem
    import llama_index_unisem
    import unisem

    for package, page in (
        (unisem, "unisem"),
        (langchain_unisem, "langchain"),
        (llama_index_unisem, "llama_index"),
    ):
        text = (site / "reference" / f"{page}.html").read_text(encoding="utf-8")
        text += (site / "reference" / "seams.html").read_text(encoding="utf-8")
        for name in set(package.__all__) - {"__version__"}:
            assert re.search(rf'id="[\w.]+\.{name}"', text), name


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(list(DOCS.rglob("*.md")))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="?([^"\s>]+)', text)
        loaded += re.findall(r'<link[^>]* rel="?stylesheet[^>]* href="?([^"\s>]+)', text)
        assert [address for address in loaded if address.startswith(("http", "//"))] == []
        assert 'class="mermaid"' not in text  # whose script would come from elsewhere


def test_notebooks_are_pages_with_pictures(site: Path) -> None:
    notebooks = list((DOCS / "notebooks").glob("*.ipynb"))
    assert notebooks
    for notebook in notebooks:
        text = (site / "notebooks" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        assert "data:image/png;base64," in text
