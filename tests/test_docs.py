"""Pages whose first snippet opens a space run from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.pictures import noise
from tests.support.toy import ToyEncoder

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```python *\n(.*?)^```", re.S | re.M)
_OF_THE_READER = re.compile(
    r'init_chat_model|OpenAI|load_(?:encoder|reranker)\(|encoder="(?!mini")'
)


def blocks_of(page: Path) -> list[str]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def opens_a_space(page: Path) -> bool:
    """Whether it begins with opening one, and needs no model of the reader's own."""
    blocks = blocks_of(page)
    opens = bool(blocks) and "SemanticSpace.open(" in blocks[0]
    return opens and not _OF_THE_READER.search("".join(blocks))


PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if opens_a_space(page)]


def test_there_is_the_page_on_spaces() -> None:
    assert ROOT / "docs" / "guides" / "spaces.md" in PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs_from_top_to_bottom(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("unisem.space.load_encoder", lambda name, **options: ToyEncoder())
    blocks = blocks_of(page)
    named = re.findall(r'"([\w/-]+\.(?:jpe?g|png))"', "".join(blocks))
    for number, name in enumerate(["photos/cat.jpg", "photos/sea.jpg", *named]):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        noise(number).save(name)
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, page.name, "exec"), names)
